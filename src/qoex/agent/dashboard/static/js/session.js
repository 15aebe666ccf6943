// The token lives in the storage of this tab and nowhere else.

const TOKEN = "qoex-token";

export function storedToken() {
  return sessionStorage.getItem(TOKEN);
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
}

/** Take a token out of the address (`#token=…`) and out of what the browser remembers of it. */
export function tokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return null;
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  return token;
}
