"""What of an interval's exchanges the network can carry: power flow, verdict, curtailment rules."""
