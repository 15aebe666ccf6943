// The cycles that the page knows, oldest first: what the views of the market are drawn from.

/** As many cycles as charts can show; older ones are in the log. */
export const KEPT_CYCLES = 900;

export class History {
  /** The decided cycle that later ones kept in force, when it is older than `cycles`. */
  #held = null;

  constructor() {
    /** @type {any[]} */
    this.cycles = [];
  }

  get latest() {
    return this.cycles.at(-1) ?? null;
  }

  /** The summary of the cycle whose decision is in force: a kept cycle has no decision of its own. */
  get inForce() {
    const number = this.latest?.in_force ?? null;
    if (this.#held?.number === number) return this.#held;
    return this.cycles.findLast((cycle) => cycle.number === number) ?? null;
  }

  /** The number of the cycle in force if its summary has to be asked for. */
  get missing() {
    const number = this.latest?.in_force ?? null;
    return number !== null && this.inForce === null ? number : null;
  }

  add(summary) {
    const last = this.latest;
    if (last && summary.number <= last.number) {
      if (summary.committed_at <= last.committed_at) return;
      this.cycles = []; // an agent with a new log counts from 1 again
      this.#held = null;
    }
    const before = this.inForce;
    this.cycles.push(summary);
    if (before?.number === summary.in_force) this.#held = before;
    if (this.cycles.length > KEPT_CYCLES) this.cycles.splice(0, this.cycles.length - KEPT_CYCLES);
  }

  hold(summary) {
    this.#held = summary;
  }
}
