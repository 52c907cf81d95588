"""Tables of ``state.db``.  Rule: they equal the sum of the migrations (a test compares them), and every row has a team.

Facts that are searched are columns; the rest of a record is JSON text, so that a new field of a frozen struct needs
no migration.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

configuration = Table(
    "configuration",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("team", Text, nullable=False),
    Column("applied_at", Float, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("files", Text, nullable=False),
    Column("configuration", Text, nullable=False),
)

release = Table(
    "release",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("record", Text, nullable=False),
    UniqueConstraint("workflow", "number"),
)

served = Table(
    "served",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("digest", Text, ForeignKey("release.digest"), nullable=False),
)

wording = Table(
    "wording",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("record", Text, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("record", Text, nullable=False),
)

login_code = Table(
    "login_code",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("record", Text, nullable=False),
)

login_session = Table(
    "login_session",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "person"),
)

account = Table(
    "account",
    metadata,
    Column("person", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("record", Text, nullable=False),
)

invitation = Table(
    "invitation",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "created_at"),
)

role_grant = Table(
    "role_grant",
    metadata,
    Column("person", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("workflow", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("record", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("team", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "time"),
    Index(None, "target", "seq"),
    Index(None, "actor", "seq"),
    Index(None, "action", "seq"),
)

fencing = Table(
    "fencing",
    metadata,
    Column("name", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
)

escalation = Table(
    "escalation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("unit", Text),
    Column("drill", Integer, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("due_at", Float),
    Column("answer_by", Float, nullable=False),
    Column("closed_at", Float),
    Column("seq", Integer, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "state", "answer_by"),
    Index(None, "workflow", "opened_at"),
    Index(None, "due_at"),
    Index(None, "unit"),
    Index(None, "seq"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("about", Text, nullable=False),
    Column("unit", Text),
    Column("record", Text, nullable=False),
    Index(None, "state", "due_at"),
    Index(None, "about"),
    Index(None, "unit"),
)

received = Table(
    "received",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("at", Float, nullable=False),
)

incident = Table(
    "incident",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "key", "opened_at"),
    Index(None, "seen_at"),
)

link = Table(
    "link",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("record", Text, nullable=False),
)

page = Table(
    "page",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("incident", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("hop", Integer, nullable=False),
    Column("due_at", Float),
    Column("sent_at", Float),
    Column("ended_at", Float),
    Column("record", Text, nullable=False),
    Index(None, "incident", "made_at"),
    Index(None, "due_at"),
    Index(None, "person", "sent_at"),
    Index(None, "state", "made_at"),
)

drill_run = Table(
    "drill_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("began", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "workflow", "began"),
)

load_run = Table(
    "load_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("began", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "workflow", "began"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "made_at"),
)

receipt = Table(
    "receipt",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("behaviour", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("issued", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "behaviour", "epoch", "issued"),
)

revocation = Table(
    "revocation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "at"),
)

waiver = Table(
    "waiver",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "ends_at"),
)

rollout = Table(
    "rollout",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("token", Text, nullable=False),
)

eval_set = Table(
    "eval_set",
    metadata,
    Column("version", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("record", Text, nullable=False),
)

eval_publication = Table(
    "eval_publication",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "at"),
)

rubric_signature = Table(
    "rubric_signature",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "at"),
)

eval_waiting = Table(
    "eval_waiting",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("example", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("token", Text, nullable=False),
)

eval_captured = Table(
    "eval_captured",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("example", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("token", Text, nullable=False),
)

hand_score = Table(
    "hand_score",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("example", Text, primary_key=True),
    Column("answer", Text, primary_key=True),
    Column("rubric", Text, primary_key=True),
    Column("rater", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("token", Text, nullable=False),
)

eval_run = Table(
    "eval_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("began", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "began"),
)

eval_answer = Table(
    "eval_answer",
    metadata,
    Column("run", Text, ForeignKey("eval_run.id"), primary_key=True),
    Column("example", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("token", Text, nullable=False),
)

judge_calibration = Table(
    "judge_calibration",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("began", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "began"),
)

judge_mark = Table(
    "judge_mark",
    metadata,
    Column("calibration", Text, ForeignKey("judge_calibration.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("token", Text, nullable=False),
)

online_day = Table(
    "online_day",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("usd", Float, nullable=False),
    Column("scored", Integer, nullable=False),
    Column("passed_over", Integer, nullable=False),
)

forecast = Table(
    "forecast",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "made_at"),
)

cost_book = Table(
    "cost_book",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("month", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("token", Text, nullable=False),
    Index(None, "workflow", "month"),
)

on_call_override = Table(
    "on_call_override",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("rotation", Text, nullable=False),
    Column("begins", Float, nullable=False),
    Column("ends", Float, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "rotation", "ends"),
)

on_call_reading = Table(
    "on_call_reading",
    metadata,
    Column("rotation", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("record", Text, nullable=False),
)

review = Table(
    "review",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("until", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index(None, "workflow", "until"),
    Index(None, "state", "until"),
)
