"""`watchdesk selftest`: real agents and a real collector, one fault after another, and an oracle that counts what was lost or doubled.

`command` reads the options; `deck` shuffles the kinds of faults; `arena` holds the programs; `kinds` break them; `ledgers` and `stored` are the two
sides that `oracle` compares; `report` tells.
"""
