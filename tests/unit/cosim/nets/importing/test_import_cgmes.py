"""CGMES: the net is that of the file's own voltages, equipment is never lost, and hostile files end in a message."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from cosim.nets.importing import cgmes
from cosim.nets.importing.cgmes import Content
from cosim.nets.importing.formats import import_network
from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError

CIM = "http://iec.ch/TC57/2013/CIM-schema-cim16#"
HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:cim="{CIM}"
 xmlns:md="http://iec.ch/TC57/61970-552/ModelDescription/1#">"""
PROFILES = {
    "eq": "EquipmentCore/3/1",
    "ssh": "SteadyStateHypothesis/1/1",
    "tp": "Topology/4/1",
    "sv": "StateVariables/4/1",
}
NAME, EQ, END = "IdentifiedObject.name", "ConductingEquipment", "PowerTransformerEnd"
TERMINALS = {"_t": ("_grid", 1, 1), "_t1": ("_tr", 1, 1), "_t2": ("_tr", 2, 2), "_l1": ("_line", 2, 1),
             "_l2": ("_line", 3, 2), "_c": ("_load", 3, 1)}  # fmt: skip
"""Equipment, node and place of each terminal."""


def one(kind: str, number: str, **values: object) -> str:
    """An element: `a__b` is the attribute a.b; #… a reference, cim:… a word of the schema."""
    about = 'about="#' if number.startswith("#") else 'ID="'
    lines = [f'<cim:{kind} rdf:{about}{number.lstrip("#")}">']
    for key, value in values.items():
        name, text = key.replace("__", "."), str(value)
        if text[:1] == "#" or text[:4] == "cim:":
            lines.append(f'<cim:{name} rdf:resource="{text.replace("cim:", CIM)}"/>')
        else:
            lines.append(f"<cim:{name}>{text}</cim:{name}>")
    return "".join(lines) + f"</cim:{kind}>"


def named(kind: str, number: str, **values: object) -> str:
    return one(kind, number, IdentifiedObject__name=number, **values)


def solve_naively() -> dict[int, complex]:
    """Voltages of the nodes, V between phases: a transformer and a cable feed one load, solved by iteration."""
    v1, s = 1.02 * 400.0 + 0.0j, 50e3 + 10e3j
    z12, z23 = (10.0 + 50.0j) * (0.4 / 20.0) ** 2, 0.04 + 0.016j
    v2 = v3 = v1
    for _ in range(100):
        i23 = (s / v3).conjugate() + 0.5e-5j * v3
        v2 = v1 - z12 * (i23 + 0.5e-5j * v2)
        v3 = v2 - z23 * i23
    return {1: v1 * 50.0, 2: v2, 3: v3}


def make_documents() -> dict[str, str]:
    level = {1: "20", 2: "04", 3: "04"}
    solved = solve_naively()
    rows = {
        "eq": [
            named("GeographicalRegion", "_g"),
            named("SubGeographicalRegion", "_s", SubGeographicalRegion__Region="#_g"),
            named("Substation", "_st", Substation__Region="#_s"),
            *(named("BaseVoltage", f"_b{k}", BaseVoltage__nominalVoltage=kv) for k, kv in (("20", 20), ("04", 0.4))),
            *(
                named("VoltageLevel", f"_v{k}", VoltageLevel__Substation="#_st", VoltageLevel__BaseVoltage=f"#_b{k}")
                for k in ("20", "04")
            ),
            *(
                named("ConnectivityNode", f"_c{k}", ConnectivityNode__ConnectivityNodeContainer=f"#_v{level[k]}")
                for k in level
            ),
            named("ExternalNetworkInjection", "_grid", Equipment__EquipmentContainer="#_v20",
                  RegulatingCondEq__RegulatingControl="#_rc", ExternalNetworkInjection__maxP=1,
                  ExternalNetworkInjection__minP=-1, ExternalNetworkInjection__maxQ=1,
                  ExternalNetworkInjection__minQ=-1),
            named("RegulatingControl", "_rc", RegulatingControl__Terminal="#_t",
                  RegulatingControl__mode="cim:RegulatingControlModeKind.voltage"),
            named("PowerTransformer", "_tr", Equipment__EquipmentContainer="#_st"),
            *(
                named(END, f"_e{k}", TransformerEnd__endNumber=k, TransformerEnd__Terminal=f"#_t{k}",
                      TransformerEnd__BaseVoltage=f"#_b{level[k]}", PowerTransformerEnd__PowerTransformer="#_tr",
                      PowerTransformerEnd__r=r, PowerTransformerEnd__x=x, PowerTransformerEnd__b=0,
                      PowerTransformerEnd__g=0, PowerTransformerEnd__ratedS=0.4, PowerTransformerEnd__ratedU=kv,
                      PowerTransformerEnd__connectionKind=f"cim:WindingConnection.{word}",
                      PowerTransformerEnd__phaseAngleClock=clock)
                for k, r, x, kv, word, clock in ((1, 10, 50, 20, "D", 0), (2, 0, 0, 0.4, "Yn", 5))
            ),
            named("ACLineSegment", "_line", ConductingEquipment__BaseVoltage="#_b04", Conductor__length=0.2,
                  ACLineSegment__r=0.04, ACLineSegment__x=0.016, ACLineSegment__bch=1e-5, ACLineSegment__gch=0),
            named("EnergyConsumer", "_load", Equipment__EquipmentContainer="#_v04"),
            named("Analog", "_meter"),
            *(
                named("Terminal", t, Terminal__ConductingEquipment=f"#{what}", Terminal__ConnectivityNode=f"#_c{node}",
                      ACDCTerminal__sequenceNumber=place)
                for t, (what, node, place) in TERMINALS.items()
            ),
        ],
        "ssh": [
            *(one("Terminal", f"#{t}", ACDCTerminal__connected="true") for t in TERMINALS),
            one("ExternalNetworkInjection", "#_grid", RegulatingCondEq__controlEnabled="true",
                ExternalNetworkInjection__p=-0.05, ExternalNetworkInjection__q=-0.01,
                ExternalNetworkInjection__referencePriority=1),
            one("RegulatingControl", "#_rc", RegulatingControl__discrete="false", RegulatingControl__enabled="true",
                RegulatingControl__targetValue=20.4,
                RegulatingControl__targetValueUnitMultiplier="cim:UnitMultiplier.k"),
            one("EnergyConsumer", "#_load", EnergyConsumer__p=0.05, EnergyConsumer__q=0.01),
        ],
        "tp": [
            *(named("TopologicalNode", f"_n{k}", TopologicalNode__BaseVoltage=f"#_b{level[k]}",
                    TopologicalNode__ConnectivityNodeContainer=f"#_v{level[k]}") for k in level),
            *(one("ConnectivityNode", f"#_c{k}", ConnectivityNode__TopologicalNode=f"#_n{k}") for k in level),
            *(one("Terminal", f"#{t}", Terminal__TopologicalNode=f"#_n{at[1]}") for t, at in TERMINALS.items()),
        ],
        "sv": [
            one("SvVoltage", f"_sv{k}", SvVoltage__TopologicalNode=f"#_n{k}", SvVoltage__v=repr(abs(v) / 1000.0),
                SvVoltage__angle=0)
            for k, v in solved.items()
        ],
    }  # fmt: skip
    return {name: write_document(name, "\n".join(of)) for name, of in rows.items()}


def write_document(name: str, rows: str) -> str:
    profile = f"<md:Model.profile>http://entsoe.eu/CIM/{PROFILES[name]}</md:Model.profile>"
    return f'{HEAD}<md:FullModel rdf:about="urn:uuid:{name}">{profile}</md:FullModel>\n{rows}\n</rdf:RDF>\n'


def pack(folder: Path, documents: dict[str, str]) -> Path:
    path = folder / "grid.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in documents.items():
            archive.writestr(f"{name}.xml", text)
    return path


@pytest.mark.slow
def test_the_net_has_the_voltages_of_the_file(tmp_path: Path) -> None:
    pytest.importorskip("lxml", reason="the extra gridsettle[cim] is not installed")
    found = import_network([pack(tmp_path, make_documents())])
    assert found.elements == {
        "ExternalNetworkInjection": 1, "PowerTransformer": 1, "ACLineSegment": 1, "EnergyConsumer": 1,
    }  # fmt: skip
    assert [entry.element for entry in found.left_out] == ["Analog (1)"]
    solved = solve_network(found.net, Model.BALANCED)
    for k, v in solve_naively().items():
        assert abs(solved.v[str(k - 1), "a"]) * 3**0.5 == pytest.approx(abs(v), rel=1e-7)
    (said,) = (note for note in found.notes if "SvVoltage" in note)
    assert re.match(r"our voltages are those of the file \(SvVoltage\) at 3 nodes within \d\.\de-(0[7-9]|1\d) pu", said)
    with pytest.raises(GridError, match="node '_n3': expected the voltage of the file"):
        cgmes._compare(found.net, {"_n2": 1, "_n3": 2}, {"_n2": 0.407, "_n3": 0.405}, "grid.zip")
    lost = Content({"_line": "ACLineSegment", "_s": "Breaker"}, Counter(), {})
    with pytest.raises(GridError, match="got ACLineSegment '_line' and 1 more that it leaves out"):
        cgmes._check_complete(found.net, lost, "grid.zip")  # numbers of CIM are gone in what is imported


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<rdf:RDF", '<!DOCTYPE r [<!ENTITY a "b">]><rdf:RDF', "expected XML without a document type"),
        ("</rdf:RDF>", "", "expected whole XML, got another"),
        ("<cim:SvVoltage.v>", "<cim:SvVoltage.v>-", "SvVoltage.v: expected kV, got '-"),
        ("cim16#", "cim17#", "got XML without equipment of its profile EQ"),
    ],
)
def test_xml_that_is_none_of_a_network_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    documents = {name: text.replace(old, new) for name, text in make_documents().items()}
    with pytest.raises(GridError, match=re.escape(message)):
        import_network([pack(tmp_path, documents)])


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path, {"eq": " " * 1_000_000})
    assert path.stat().st_size < 5_000
    monkeypatch.setattr(cgmes, "MAX_BYTES", 100_000)
    with pytest.raises(GridError, match="expected at most 100,000 bytes unpacked, got more"):
        import_network([path])
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(GridError, match="expected a zip file that can be unpacked"):
        import_network([path])
    monkeypatch.setattr(cgmes, "MOST_FILES", 1)
    with pytest.raises(GridError, match="expected at most 1 files, got 2"):
        import_network([pack(tmp_path, {"eq": "", "tp": ""})])
