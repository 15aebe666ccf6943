"""A market as a person writes it: providers, users and what each user demands of each provider.

A field left out of a provider, a user or a demand is looked up in ``defaults``. The fields are in
``tables``, what they come to (eqs. 6 and 7) in ``resolve``, reading and writing in ``files``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError, model_validator

from qoex.errors import ScenarioError
from qoex.model.market import PAIR_FIELDS, PROVIDER_FIELDS, USER_FIELDS, Market
from qoex.model.tokens import Tokens
from qoex.scenario import resolve
from qoex.scenario.tables import Defaults, Demand, Provider, ScenarioTables, Table, User
from qoex.text import refusals as sentences

__all__ = ["Defaults", "Demand", "Provider", "Scenario", "Tokens", "User"]


class Scenario(ScenarioTables):
    """A market as a person writes it; it is known to make a market once it is built.

    Building it from Python objects raises pydantic's ValidationError; ``parse`` says the same in
    one sentence, as a ScenarioError.
    """

    @model_validator(mode="after")
    def _makes_a_market(self) -> Scenario:
        resolve.market(self)
        return self

    @classmethod
    def parse(cls, data: Mapping[str, object]) -> Scenario:
        """Build the scenario from plain tables, as a TOML or JSON parser gives them.

        Raises:
            ScenarioError: it is not a scenario; one sentence that names the place.

        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            tables: dict[str, type[Table]] = {
                "defaults": Defaults,
                "providers": Provider,
                "users": User,
                "demands": Demand,
            }
            fields = {name: list(table.model_fields) for name, table in tables.items()}
            fields[""] = list(cls.model_fields)
            raise ScenarioError(sentences.sentence(error, data, fields)) from None

    @classmethod
    def from_market(cls, market: Market) -> Scenario:
        """Write a market as a scenario of direct work and traffic; ``market()`` gives it back.

        Absent pairs are left out, and a latency budget common to all present pairs of a provider
        is given once, at the provider.
        """
        present = market.present
        providers: list[dict[str, object]] = []
        demands: list[dict[str, object]] = []
        for n, name in enumerate(market.provider_names):
            provider: dict[str, object] = {"name": name, **_row(market, PROVIDER_FIELDS, n)}
            users = present[n].nonzero()[0].tolist()
            common = len(set(market.latency_budget[n, users].tolist())) == 1
            if common:
                provider["latency_budget"] = float(market.latency_budget[n, users[0]])
            fields = ("work", "traffic") if common else PAIR_FIELDS
            providers.append(provider)
            demands += [
                {"user": market.user_names[m], "provider": name, **_row(market, fields, (n, m))}
                for m in users
            ]
        scenario: dict[str, object] = {
            "providers": providers,
            "users": [
                {"name": name, **_row(market, USER_FIELDS, m)}
                for m, name in enumerate(market.user_names)
            ],
            "demands": demands,
        }
        if not present.all():
            scenario["defaults"] = {"missing_demands": "absent"}
        return cls.parse(scenario)

    def market(self) -> Market:
        """Return the market: eqs. 6 and 7 applied to every demand.

        Raises:
            ScenarioError: it makes none (only after ``model_copy``, which checks nothing).

        """
        return resolve.market(self)

    def tokens(self) -> Tokens | None:
        """Return the token counts (N×M each), or None if a present demand gives none."""
        return resolve.tokens(self)


def _row(market: Market, fields: Sequence[str], index: int | tuple[int, int]) -> dict[str, float]:
    return {field: float(getattr(market, field)[index]) for field in fields}
