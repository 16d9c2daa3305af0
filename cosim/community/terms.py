"""Terms of a community: a TOML file, read strictly. Prices in EUR/kWh and coefficients are exact decimals."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from cosim.errors import ScenarioError
from cosim.scenario.base import Section, Zone
from cosim.scenario.files import read_regular_text
from cosim.scenario.messages import explain, shorten, suggest
from market.community.accounts import POOL, RESERVED
from market.community.austria import OUTSIDE
from market.exchanges import UEUR_PER_EUR

MOST_DIGITS = 12
"""Of a coefficient, behind the point."""


def _check_price(price: Decimal) -> Decimal:
    if (price * UEUR_PER_EUR) % 1:
        raise ValueError(
            f"expected a price of whole µEUR/kWh, at most 6 digits behind the point, got {price}; round it"
        )
    return price


def _check_digits(share: Decimal) -> Decimal:
    if (share * 10**MOST_DIGITS) % 1:
        raise ValueError(f"expected at most {MOST_DIGITS} digits behind the point, got {share}; round it")
    return share


Price = Annotated[Decimal, Field(ge=0, le=10, allow_inf_nan=False), AfterValidator(_check_price)]
Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False), AfterValidator(_check_digits)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Shares = Annotated[dict[Name, Share], Field(min_length=1)]
Percents = Annotated[dict[Name, Annotated[int, Field(ge=1, le=100)]], Field(min_length=1)]
Metering = Literal["connection", "gross"]

_METERING = "connection: what a house feeds in or draws in an interval; gross: all it generates, and all it uses"


class Terms(Section):
    """What the terms of every law have."""

    OPTIONS: ClassVar[tuple[int, ...]] = (60,)
    """Lengths of a settlement period that the law admits here, minutes; the first one if none is said."""

    law: Literal["spain", "austria", "italy", "france"] = Field(description="whose law")
    community: Name = Field("community", description="name of the community")
    timezone: Zone = Field("UTC", description="clock of billing months")
    interval_minutes: int | None = Field(None, description="length of a settlement period; none: that of the law")
    metering: Metering = Field("connection", description=_METERING)
    retail_eur_per_kwh: Price = Field(description="what suppliers take for energy")
    surplus_eur_per_kwh: Price = Field(description="what suppliers give for surplus")

    @property
    def period_minutes(self) -> int:
        """Length of a settlement period."""
        return self.OPTIONS[0] if self.interval_minutes is None else self.interval_minutes

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files beside the terms that belong to them."""
        return ()

    @model_validator(mode="after")
    def _of_the_law(self) -> Terms:
        if self.period_minutes not in self.OPTIONS:
            raise ValueError(
                f"interval_minutes: expected {' or '.join(map(str, self.OPTIONS))} for law = '{self.law}', got "
                f"{self.interval_minutes}"
            )
        if self.community in RESERVED or self.community.startswith(POOL):
            raise ValueError(f"community: expected another name than that of a party, got '{self.community}'")
        return self


def _check_one_source(terms: SpainTerms | FranceTerms, beside: str) -> None:
    if (terms.coefficients is None) == (terms.coefficients_file is None):
        raise ValueError(f"coefficients: expected either coefficients or coefficients_file {beside}, got both or none")
    if terms.coefficients_file is not None and Path(terms.coefficients_file).name != terms.coefficients_file:
        raise ValueError(
            f"coefficients_file: expected a file beside the terms, by its name alone, got '{terms.coefficients_file}'"
        )


class SpainTerms(Terms):
    """RD 244/2019."""

    timezone: Zone = Field("Europe/Madrid", description="clock of billing months and of the file's hours")
    metering: Metering = Field("gross", description=_METERING)
    coefficients: Shares | None = Field(None, description="fixed β of each member")
    coefficients_file: Name | None = Field(None, description="the regulator's text file CAU_YEAR.txt, beside the terms")
    supply_points: dict[Name, Name] | None = Field(None, description="CUPS of each member, with coefficients_file")

    @property
    def files(self) -> tuple[str, ...]:
        """The regulator's file."""
        return () if self.coefficients_file is None else (self.coefficients_file,)

    @model_validator(mode="after")
    def _from_one_source(self) -> SpainTerms:
        _check_one_source(self, "with supply_points")
        points = self.supply_points or {}
        if (self.coefficients_file is None) == bool(points) or len(set(points.values())) < len(points):
            raise ValueError("supply_points: expected a CUPS of each member, each once, with coefficients_file alone")
        return self


class AustrianCommunity(Section):
    """One community of Austria."""

    allocation: Literal["static", "dynamic"] = Field(description="static shares, or in relation to use")
    coefficients: Shares | None = Field(None, description="static share of each member")
    participation_percent: Percents = Field(description="participation factor of each member, per cent")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> AustrianCommunity:
        if (self.allocation == "static") != (self.coefficients is not None):
            raise ValueError("coefficients: expected them for allocation = 'static', and for it alone")
        if self.coefficients is not None and set(self.coefficients) != set(self.participation_percent):
            raise ValueError("coefficients: expected one for each member of participation_percent, and of no other")
        return self


class AustriaTerms(Terms):
    """§ 79 EAG, §§ 16b to 16e ElWOG 2010."""

    OPTIONS: ClassVar[tuple[int, ...]] = (15, 60)

    timezone: Zone = Field("Europe/Vienna", description="clock of billing months")
    community_eur_per_kwh: Price = Field(description="what members pay one another")
    communities: Annotated[dict[Name, AustrianCommunity], Field(min_length=1)] = Field(description="by their names")

    @model_validator(mode="after")
    def _leaves_a_name(self) -> AustriaTerms:
        if OUTSIDE in self.communities:
            raise ValueError(f"communities: expected another name than '{OUTSIDE}', which is what is in none of them")
        return self


class Split(Section):
    """Rule by which a community of Italy splits what the GSE pays."""

    producers: Share = Field(description="share of producers, in proportion to what each gave")
    consumers: Share = Field(description="share of consumers, in proportion to what each received")
    community: Share = Field(Decimal(0), description="what the community keeps")

    @model_validator(mode="after")
    def _is_whole(self) -> Split:
        if (total := self.producers + self.consumers + self.community) != 1:
            raise ValueError(f"producers, consumers, community: expected shares that sum to exactly 1, got {total}")
        return self


class ItalyTerms(Terms):
    """Articles 31 and 32 of D.Lgs. 199/2021, D.M. 414/2023, TIAD."""

    timezone: Zone = Field("Europe/Rome", description="clock of billing months")
    premium_eur_per_kwh: Price = Field(description="incentive on shared energy")
    network_eur_per_kwh: Price = Field(description="network charges that are returned on shared energy (TIAD)")
    split: Split = Field(description="who gets how much of both")
    substations: Annotated[dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]], Field(min_length=1)] = Field(
        description="members below each primary substation"
    )

    @model_validator(mode="after")
    def _each_below_one(self) -> ItalyTerms:
        members = [name for names in self.substations.values() for name in names]
        if twice := sorted({name for name in members if members.count(name) > 1}):
            raise ValueError(f"substations: expected each member once, got {', '.join(twice)} more than once")
        return self


class FranceTerms(Terms):
    """Articles L. 315-2 and D. 315-4 to D. 315-6 of the Code de l'énergie."""

    OPTIONS: ClassVar[tuple[int, ...]] = (30,)

    timezone: Zone = Field("Europe/Paris", description="clock of billing months")
    community_eur_per_kwh: Price = Field(description="what members pay one another")
    key: Literal["static", "by_use", "full_dynamic"] = Field(description="key of allocation")
    members: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        None, description="members, for key = by_use; none: all houses"
    )
    coefficients: Shares | None = Field(None, description="coefficient of each member, for key = static")
    coefficients_file: Name | None = Field(
        None, description="CSV time,MEMBER,… of every half-hour, beside the terms, for key = full_dynamic"
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The table of coefficients."""
        return () if self.coefficients_file is None else (self.coefficients_file,)

    @model_validator(mode="after")
    def _has_what_its_key_needs(self) -> FranceTerms:
        if self.key == "by_use":
            if self.coefficients is not None or self.coefficients_file is not None:
                raise ValueError("coefficients: expected none for key = 'by_use', got some; leave them out")
            return self
        if self.members is not None:
            raise ValueError("members: expected them for key = 'by_use' alone; coefficients name the others")
        _check_one_source(self, "")
        if (self.key == "static") != (self.coefficients is not None):
            raise ValueError("key: expected 'static' with coefficients, 'full_dynamic' with coefficients_file")
        return self


LAWS: Mapping[str, type[Terms]] = {
    "spain": SpainTerms,
    "austria": AustriaTerms,
    "italy": ItalyTerms,
    "france": FranceTerms,
}


def parse_terms(text: str, where: str) -> Terms:
    """Terms from TOML text; `where` names it in messages.

    Raises
    ------
    ScenarioError
        If it is not TOML, or a key or value is not as expected.
    """
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as reason:
        what = "tables and lists nested too deeply" if isinstance(reason, RecursionError) else shorten(reason)
        raise ScenarioError(f"{where}: expected TOML of a community's terms, got {what}") from reason
    law = content.get("law")
    if not isinstance(law, str) or law not in LAWS:
        known = ", ".join(LAWS)
        raise ScenarioError(
            f"{where}, law: expected one of {known}, got {shorten(repr(law), 80)}{suggest(str(law), list(LAWS))}"
        )
    try:
        return LAWS[law](**content)
    except ValidationError as error:
        raise ScenarioError(explain(error, LAWS[law], where)) from None


def read_terms(path: Path) -> tuple[Terms, str]:
    """Terms of a file, and its text.

    Raises
    ------
    ScenarioError
        If it cannot be read, or a key or value is not as expected.
    """
    text = read_regular_text(path, "a TOML file with a community's terms")
    return parse_terms(text, str(path)), text
