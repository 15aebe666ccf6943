// Asks for a token.

import { el } from "../dom.js";

/**
 * @param {string} message why the last token was not taken, or ""
 * @param {(token: string) => void} enter
 */
export function signIn(message, enter) {
  const field = el("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-refused",
  });
  const form = el(
    "form",
    {
      class: "signin",
      on: {
        submit: (event) => {
          event.preventDefault();
          const token = field.value.trim();
          if (token) enter(token);
        },
      },
    },
    el("h1", { text: "The market, live" }),
    el("p", {
      text: "An operator's token shows the whole market; the token of a user or provider shows its own page.",
    }),
    el("p", { class: "refused", id: "token-refused", role: "alert", text: message }),
    el("label", { for: "token", text: "Token" }),
    el("div", { class: "field" }, field, el("button", { type: "submit", text: "Open" })),
    el(
      "p",
      { class: "hint" },
      "The operator makes one with ",
      el("code", { text: "qoex token create" }),
      ". This page keeps it until the tab is closed.",
    ),
  );
  queueMicrotask(() => field.focus());
  return { title: "Token", element: form };
}
