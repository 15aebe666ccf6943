// Turns the cycles that the page knows into the lines of its charts.

const capacities = new WeakMap();

/** Capacity entries of a cycle by provider; of one that was kept, those that stay in force. */
function byProvider(cycle) {
  let found = capacities.get(cycle);
  if (!found) {
    found = new Map((cycle.capacity ?? []).map((entry) => [entry.provider, entry]));
    capacities.set(cycle, found);
  }
  return found;
}

export function seconds(moment) {
  return new Date(moment).getTime() / 1000;
}

/**
 * A number of one provider over the cycles; null where it had no part in the market.
 * @param {any[]} cycles
 * @param {string} provider
 * @param {(entry: any) => number} read
 */
export function ofProvider(cycles, provider, read) {
  let before = null;
  return cycles.map((cycle) => {
    const entries = byProvider(cycle);
    if (entries.size > 0 || cycle.result === "decided") before = entries.get(provider) ?? null;
    return before ? read(before) : null;
  });
}

/** Times of the cycles that kept an earlier decision. */
export function keptTimes(cycles) {
  return cycles
    .filter((cycle) => cycle.result === "kept")
    .map((cycle) => seconds(cycle.committed_at));
}
