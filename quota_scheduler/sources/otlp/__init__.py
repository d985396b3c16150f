"""OTLP: logs, metrics and spans of agents and of programs that follow the GenAI conventions, into usage.

bytes ──protobuf / json_body──► records ──logs, spans, metrics──► calls and metered points ──door──► a delivery
"""
