// The agent's HTTP interface. Addresses are relative to the page, so a proxy may move it.

/** What the agent refused, or that it could not be asked (status 0). */
export class Problem extends Error {
  constructor(status, title, detail, retryAfter = null) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

export const GONE = "The agent does not answer";

export class Api {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /** @param {string} path below `v1/` */
  get(path, { signal = undefined } = {}) {
    return this.#json("GET", path, signal);
  }

  post(path) {
    return this.#json("POST", path, undefined);
  }

  /** Open a path and return the response; what is not a success is thrown as a Problem. */
  async open(method, path, { headers = {}, signal = undefined } = {}) {
    let response;
    try {
      response = await fetch(`v1/${path}`, {
        method,
        signal,
        cache: "no-store",
        credentials: "omit",
        headers: { ...headers, Authorization: `Bearer ${this.token}` },
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, GONE, "");
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  async #json(method, path, signal) {
    const response = await this.open(method, path, {
      signal,
      headers: { Accept: "application/json" },
    });
    try {
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, GONE, "Its answer broke off.");
    }
  }
}

async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return new Problem(
    response.status,
    said.title ?? `Status ${response.status}`,
    said.detail ?? "",
    retryAfter,
  );
}
