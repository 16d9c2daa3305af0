"""Section `tap_changer` of a scenario file: transformers that change taps under load."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.base import Positive, Section

Tap = Annotated[int, Field(ge=-100, le=100)]
"""Position of a tap changer."""


class TapChangerSection(Section):
    """On-load tap changers: when they step, and taps in place of those in the net."""

    enabled: bool = Field(False, description="whether transformers change their taps under load")
    transformers: tuple[str, ...] = Field(
        (), description="names or numbers of these transformers in the net; those at the external grid if empty"
    )
    vm_lower_pu: Annotated[Positive, Field(le=2)] = Field(
        0.98, description="voltage below which a changer steps, pu; none in between, the deadband"
    )
    vm_upper_pu: Annotated[Positive, Field(le=2)] = Field(1.02, description="voltage above which it steps, pu")
    side: Literal["lv", "hv"] = Field("lv", description="side of the transformer whose bus is measured")
    bus: str | None = Field(
        None, description="name or number of a bus that is measured in place of the transformer's, such as a far one"
    )
    delay_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        60.0, description="time outside the band before each step, s"
    )
    tap_pos: Tap | None = Field(None, description="position in the beginning; none: as in the net, as all keys below")
    tap_min: Tap | None = Field(None, description="lowest position")
    tap_max: Tap | None = Field(None, description="highest position")
    tap_neutral: Tap | None = Field(None, description="position of the rated ratio")
    tap_step_percent: Annotated[float, Field(gt=0, le=20)] | None = Field(
        None, description="change of the rated voltage by one step, %"
    )
    tap_side: Literal["hv", "lv"] | None = Field(None, description="side of the transformer that has the taps")

    @model_validator(mode="after")
    def _ordered(self) -> TapChangerSection:
        if self.vm_lower_pu >= self.vm_upper_pu:
            raise ValueError(
                f"vm_lower_pu: expected a voltage below vm_upper_pu = {self.vm_upper_pu:g}, got {self.vm_lower_pu:g}; "
                "give the band between them"
            )
        return self
