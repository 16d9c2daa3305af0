"""Circuits of OpenDSS that tests write themselves, each with something that others read wrongly."""

from __future__ import annotations

from pathlib import Path

END = "set voltagebases=[11 0.4]\ncalcvoltagebases\nsolve\n"
WIDE = "vminpu=0.7 vmaxpu=1.3"

ONE_PHASE = f"""clear
set defaultbasefrequency=50
new circuit.laterals basekv=11 pu=1.02 bus1=src isc3=3000 isc1=2500
new transformer.t phases=3 windings=2 buses=(src 1) conns=(delta wye) kvs=(11 0.4) kvas=(250 250) xhl=4 %r=0.5
new linecode.main nphases=3 r1=0.166 x1=0.068 r0=0.5 x0=0.2 c1=200 c0=150 units=km
new line.l1 bus1=1 bus2=2 linecode=main length=150 units=m
new line.l2 bus1=2 bus2=3 linecode=main length=80 units=m
~ normamps=180
new line.l3 bus1=3.1 bus2=4.1 phases=1 r1=0.9 x1=0.08 r0=0.9 x0=0.08 c1=0 c0=0 length=0.04 units=km
new load.h1 phases=1 bus1=4.1 kv=0.23 kw=3 pf=0.95 {WIDE}
new load.h2 phases=1 bus1=2.2 kv=0.23 kw=5 pf=0.95 {WIDE}
new load.h3 phases=3 bus1=3 kv=0.4 kw=9 pf=0.95 {WIDE}
new load.h4 phases=1 bus1=3.2.3 kv=0.4 kw=2 kvar=0.5 {WIDE}
new generator.pv phases=1 bus1=3.3 kv=0.23 kw=4 pf=1 model=1 {WIDE}
{END}"""
"""Transposed lines and a lateral of one phase: a net in three phases says the same."""

MATRICES = f"""clear
set defaultbasefrequency=60
new circuit.matrices basekv=11 pu=1.0 bus1=src mvasc3=90 mvasc1=70
new transformer.t phases=3 windings=2 buses=(src 1) conns=(wye wye) kvs=(11 0.4) kvas=(400 400) xhl=5 %loadloss=1.1
~ %noloadloss=0.3 %imag=1.5 taps=(1.025 1)
new linecode.m nphases=3 units=kft
~ rmatrix=(0.09 | 0.03 0.088 | 0.031 0.029 0.0895)
~ xmatrix=(0.204 | 0.095 0.2 | 0.08 0.073 0.207)
~ cmatrix=(2.8 | -0.92 3.0 | -0.35 -0.58 2.7)
new line.l1 bus1=1.1.2.3 bus2=2.1.2.3 linecode=m length=0.9 units=kft
new line.l2 bus1=2.3.1 bus2=3.3.1 phases=2 length=100 units=m
~ rmatrix=(0.0003 | 0.00005 0.0003) xmatrix=(0.0003 | 0.0001 0.0003) cmatrix=(0.01 | -0.002 0.01)
new capacitor.c bus1=2 phases=3 kv=0.4 kvar=15
new load.a phases=3 bus1=2 conn=delta kv=0.4 kw=40 kvar=12 {WIDE}
new load.b phases=1 bus1=3.3 kv=0.23 kw=6 pf=0.9 {WIDE}
new load.z phases=1 bus1=3.1 kv=0.23 kw=4 pf=0.9 model=2 {WIDE}
{END}"""
"""Untransposed matrices at 60 Hz in feet, a lateral of two phases, taps, a magnetising branch, a capacitor."""

FOUR_WIRE = f"""clear
set defaultbasefrequency=50
new circuit.wires basekv=11 pu=1.03 bus1=src mvasc3=120 mvasc1=100
new transformer.t phases=3 windings=2 buses=(src lv.1.2.3.4) conns=(delta wye) kvs=(11 0.4) kvas=(160 160) xhl=4 %r=0.6
new reactor.e phases=1 bus1=lv.4 bus2=lv.0 r=0.8 x=0
new linecode.c nphases=4 units=km rmatrix=(0.32 | 0.16 0.32 | 0.16 0.16 0.32 | 0.16 0.16 0.16 0.35)
~ xmatrix=(0.6 | 0.4 0.6 | 0.38 0.4 0.6 | 0.39 0.4 0.39 0.61) cmatrix=(60 | -9 60 | -9 -9 60 | -9 -9 -9 60)
new line.l1 bus1=lv.1.2.3.4 bus2=a.1.2.3.4 linecode=c length=0.21 units=km
new linecode.s nphases=2 units=km rmatrix=(0.9 | 0.1 0.9) xmatrix=(0.4 | 0.3 0.4) cmatrix=(0 | 0 0)
new line.l2 bus1=a.2.4 bus2=b.2.4 phases=2 linecode=s length=30 units=m
new reactor.eb phases=1 bus1=b.4 r=15 x=0
new load.x phases=1 bus1=a.1.4 kv=0.23 kw=6 pf=0.95 {WIDE}
new load.y phases=3 bus1=a.1.2.3.4 kv=0.4 kw=6 kvar=1 {WIDE}
new load.z phases=1 bus1=b.2.4 kv=0.23 kw=3 kvar=0.4 {WIDE}
new monitor.m element=line.l1
{END}"""
"""A neutral that is a conductor, earthed at the transformer and at a house."""

SPLIT_PHASE = f"""clear
set defaultbasefrequency=60
new circuit.split basekv=12.47 pu=1.01 bus1=src mvasc3=60 mvasc1=50
new line.mv bus1=src.1 bus2=p.1 phases=1 r1=0.3 x1=0.6 r0=0.3 x0=0.6 c1=4 c0=4 length=1.2 units=mi
new transformer.ct phases=1 windings=3 buses=(p.1 s.1.0 s.0.2) kvs=(7.2 0.12 0.12) kvas=(25 25 25) xhl=2 xht=2 xlt=1.4
~ %rs=(0.6 1.2 1.2) %noloadloss=0.2 %imag=0.5
new line.drop bus1=s.1.2 bus2=h.1.2 phases=2 length=90 units=ft
~ rmatrix=(0.0001 | 0.00002 0.0001) xmatrix=(0.00008 | 0.00004 0.00008) cmatrix=(0 | 0 0)
new load.l1 phases=1 bus1=h.1 kv=0.12 kw=3 pf=0.97 {WIDE}
new load.l2 phases=1 bus1=h.2 kv=0.12 kw=1 pf=0.97 {WIDE}
new load.stove phases=1 bus1=h.1.2 kv=0.24 kw=5 pf=1 {WIDE}
set voltagebases=[12.47 0.208]
calcvoltagebases
solve
"""
"""A transformer of one phase with a centre tap, 120/240 V."""

CIRCUITS = {"one_phase": ONE_PHASE, "matrices": MATRICES, "four_wire": FOUR_WIRE, "split_phase": SPLIT_PHASE}


def write_circuit(folder: Path, text: str, name: str = "Master.dss") -> Path:
    """Write a script into a folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
