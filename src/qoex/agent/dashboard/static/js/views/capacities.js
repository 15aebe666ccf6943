// Every provider's two capacities: how much is in use, at what price, and how the price moved.

import { column } from "../format.js";
import { el } from "../dom.js";
import { empty, fillBar, fillRegime, fillSpark, providerAddress, RESOURCES } from "../parts.js";
import { ofProvider } from "../series.js";
import { linkColumn, Table, textColumn } from "../table.js";
import { hue, HUES } from "../theme.js";

export class CapacityTable {
  #table;
  #none = empty(
    "No provider has a part in the decision",
    "Providers appear here once users demand something of them.",
  );

  /** @param {(provider: string | null) => void} onHighlight */
  constructor(onHighlight) {
    this.#table = new Table({
      label: "Capacities of the providers",
      class: "capacities",
      key: (row) => row.provider,
      onRow: (row) => onHighlight(row?.provider ?? null),
      group: [
        { title: "", span: 1 },
        ...RESOURCES.map(({ title, unit }) => ({ title: `${title}, ${unit}`, span: 6 })),
      ],
      columns: [
        {
          ...linkColumn(
            "Provider",
            (row) => row.provider,
            (row) => providerAddress(row.provider),
          ),
          class: "name",
        },
        ...RESOURCES.flatMap(({ key }) => columnsOf(key)),
      ],
    });
    this.element = el("div", {}, this.#none);
  }

  set(inForce, cycles) {
    const entries = inForce?.capacity ?? [];
    const shown = entries.length > 0 ? this.#table.element : this.#none;
    if (this.element.firstElementChild !== shown) this.element.replaceChildren(shown);
    const texts = Object.fromEntries(
      RESOURCES.map(({ key }) => [key, textsOf(entries.map((entry) => entry[key]))]),
    );
    const rows = entries.map((entry, place) => ({
      ...entry,
      ink: entries.length <= HUES ? hue(place) : null,
      texts: Object.fromEntries(RESOURCES.map(({ key }) => [key, texts[key][place]])),
      trend: Object.fromEntries(
        RESOURCES.map(({ key }) => [
          key,
          ofProvider(cycles, entry.provider, (one) => one[key].price),
        ]),
      ),
    }));
    this.#table.set(rows);
    rows.forEach((row, place) => {
      const cell = this.#table.body.children[place]?.firstElementChild;
      cell?.classList.toggle("inked", row.ink !== null);
      cell?.style.setProperty("--ink-of-row", `var(--${row.ink})`);
    });
  }
}

function columnsOf(key) {
  const first = `${key} first`;
  return [
    {
      title: "use",
      class: `${first} bar`,
      fill: (cell, row) => fillBar(cell, row[key].use, row[key].capacity, row[key].regime),
    },
    {
      ...textColumn("used / capacity", (row) => row.texts[key].use, { figure: true }),
      class: `${key} used`,
    },
    {
      ...textColumn("price", (row) => row.texts[key].price, { figure: true }),
      class: `${key} price`,
    },
    {
      ...textColumn("× cost", (row) => row.texts[key].times, { figure: true }),
      class: `${key} times`,
    },
    {
      title: "trend",
      class: `${key} trend`,
      fill: (cell, row) =>
        fillSpark(cell, row.trend[key], `Price of ${key} at ${row.provider} over time`),
    },
    {
      title: "regime",
      class: `${key} regime`,
      fill: (cell, row) => fillRegime(cell, row[key].regime),
    },
  ];
}

function textsOf(states) {
  // One column for both, so that what is all in use reads as the same number twice.
  const amounts = column(states.flatMap((state) => [state.use, state.capacity]));
  const prices = column(states.map((state) => state.price));
  const times = column(
    states.map((state) => state.price / state.unit_cost),
    3,
  );
  return states.map((_, place) => ({
    use: `${amounts[2 * place]} / ${amounts[2 * place + 1]}`,
    price: prices[place],
    times: `${times[place]}×`,
  }));
}
