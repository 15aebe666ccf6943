// Server-Sent Events read by fetch: EventSource cannot send an Authorization header.

import { Problem } from "./api.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
// The agent sends a comment every 15 s; after two of them went missing the line is dead.
const SILENCE = 40_000;

/** Takes text as it arrives and hands on whole events, as the HTML standard parses them. */
export class EventParser {
  #rest = "";
  #data = [];
  #event = "";
  #id = null;

  /** @param {(event: {event: string, data: string, id: string | null}) => void} handle */
  constructor(handle) {
    this.handle = handle;
    /** How long the agent asks to wait before a new attempt, ms, if it does. */
    this.retry = null;
  }

  push(text) {
    this.#rest += text;
    // A lone CR at the end may be half of a CRLF.
    const end = this.#rest.endsWith("\r") ? this.#rest.length - 1 : this.#rest.length;
    const lines = this.#rest.slice(0, end).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + this.#rest.slice(end);
    lines.forEach((line) => this.#line(line));
  }

  #line(line) {
    if (line === "") {
      if (this.#data.length > 0) {
        this.handle({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
      }
      this.#data = [];
      this.#event = "";
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

/**
 * One stream of events that comes back by itself.
 *
 * States given to `onState`: {name: "connecting"}, {name: "live"}, {name: "waiting", until, problem},
 * {name: "refused", problem}. A stream pauses while its tab is hidden, for a browser opens only a
 * few connections to one agent; afterwards it asks for what it missed.
 */
export class EventStream {
  #running = false;
  #attempt = 0;
  #abort = null;
  #wake = null;

  /**
   * @param {{api: import("./api.js").Api, path: string, lastEventId?: string | null,
   *   onCycle: (cycle: any) => void, onState?: (state: any) => void}} options
   */
  constructor({ api, path, lastEventId = null, onCycle, onState = () => {} }) {
    this.api = api;
    this.path = path;
    this.lastEventId = lastEventId;
    this.onCycle = onCycle;
    this.onState = onState;
    this.visibility = () => {
      if (document.hidden) this.#abort?.abort();
      else this.now();
    };
  }

  start() {
    this.#running = true;
    document.addEventListener("visibilitychange", this.visibility);
    this.#run();
  }

  stop() {
    this.#running = false;
    document.removeEventListener("visibilitychange", this.visibility);
    this.#abort?.abort();
    this.#wake?.();
  }

  /** Do not wait for the next attempt. */
  now() {
    this.#wake?.();
  }

  async #run() {
    while (this.#running) {
      if (document.hidden) {
        await this.#pause(null);
        continue;
      }
      const problem = await this.#once();
      if (!this.#running) return;
      if (problem?.status === 401 || problem?.status === 403) {
        this.stop();
        this.onState({ name: "refused", problem });
        return;
      }
      if (document.hidden) continue;
      const wait = problem?.retryAfter ? problem.retryAfter * 1000 : this.#wait();
      this.onState({ name: "waiting", until: Date.now() + wait, problem });
      await this.#pause(wait);
    }
  }

  /** Read until the stream ends, and return why it did (null: the agent closed it). */
  async #once() {
    const abort = new AbortController();
    this.#abort = abort;
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE);
    };
    const parser = new EventParser(({ event, data, id }) => {
      this.#attempt = 0;
      if (id !== null) this.lastEventId = id;
      // The other event, "dropped", comes before the agent closes the line to a slow reader.
      if (event === "cycle") this.onCycle(JSON.parse(data));
    });
    try {
      heard();
      this.onState({ name: "connecting" });
      const headers = { Accept: "text/event-stream" };
      if (this.lastEventId !== null) headers["Last-Event-ID"] = this.lastEventId;
      const response = await this.api.open("GET", this.path, { headers, signal: abort.signal });
      this.onState({ name: "live" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return null;
        heard();
        parser.push(value);
        if (parser.retry !== null) this.least = parser.retry;
      }
    } catch (error) {
      return error instanceof Problem ? error : null;
    } finally {
      clearTimeout(silence);
    }
  }

  #wait() {
    const wait = Math.min((this.least ?? FIRST_WAIT) * 2 ** this.#attempt, LONGEST_WAIT);
    this.#attempt += 1;
    return wait * (0.75 + Math.random() / 2); // so that many pages do not come back at once
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === null ? null : setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
