-- revision 0017; written by python -m roadworthy.adapters.sqlite.state_migrations
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE configuration (
	version INTEGER NOT NULL, 
	team TEXT NOT NULL, 
	applied_at FLOAT NOT NULL, 
	applied_by TEXT NOT NULL, 
	files TEXT NOT NULL, 
	configuration TEXT NOT NULL, 
	CONSTRAINT pk_configuration PRIMARY KEY (version)
);

CREATE TABLE release (
	digest TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_release PRIMARY KEY (digest), 
	CONSTRAINT uq_release_workflow_number UNIQUE (workflow, number)
);

CREATE TABLE served (
	workflow TEXT NOT NULL, 
	team TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	CONSTRAINT pk_served PRIMARY KEY (workflow), 
	CONSTRAINT fk_served_digest FOREIGN KEY(digest) REFERENCES release (digest)
);

CREATE TABLE api_key (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_api_key PRIMARY KEY (id), 
	CONSTRAINT uq_api_key_hash UNIQUE (hash)
);

CREATE TABLE login_code (
	hash TEXT NOT NULL, 
	team TEXT NOT NULL, 
	person TEXT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_login_code PRIMARY KEY (hash)
);

CREATE TABLE login_session (
	hash TEXT NOT NULL, 
	team TEXT NOT NULL, 
	person TEXT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_login_session PRIMARY KEY (hash)
);

CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	team TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	target TEXT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (seq)
);

CREATE INDEX ix_audit_time ON audit (time);

CREATE TABLE fencing (
	name TEXT NOT NULL, 
	team TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	CONSTRAINT pk_fencing PRIMARY KEY (name)
);

CREATE TRIGGER audit_never_UPDATE BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TRIGGER audit_never_DELETE BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TABLE escalation (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	state TEXT NOT NULL, 
	unit TEXT, 
	drill INTEGER NOT NULL, 
	opened_at FLOAT NOT NULL, 
	due_at FLOAT, 
	answer_by FLOAT NOT NULL, 
	closed_at FLOAT, 
	seq INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_escalation PRIMARY KEY (id)
);

CREATE TABLE delivery (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	due_at FLOAT NOT NULL, 
	created_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	about TEXT NOT NULL, 
	unit TEXT, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_delivery PRIMARY KEY (id)
);

CREATE TABLE received (
	sender TEXT NOT NULL, 
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_received PRIMARY KEY (sender, id)
);

CREATE TABLE incident (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	state TEXT NOT NULL, 
	opened_at FLOAT NOT NULL, 
	seen_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_incident PRIMARY KEY (id)
);

CREATE INDEX ix_escalation_state_answer_by ON escalation (state, answer_by);

CREATE INDEX ix_escalation_workflow_opened_at ON escalation (workflow, opened_at);

CREATE INDEX ix_escalation_due_at ON escalation (due_at);

CREATE INDEX ix_escalation_unit ON escalation (unit);

CREATE INDEX ix_escalation_seq ON escalation (seq);

CREATE INDEX ix_delivery_state_due_at ON delivery (state, due_at);

CREATE INDEX ix_delivery_about ON delivery (about);

CREATE INDEX ix_delivery_unit ON delivery (unit);

CREATE INDEX ix_incident_key_opened_at ON incident ("key", opened_at);

CREATE INDEX ix_incident_seen_at ON incident (seen_at);

CREATE TABLE drill_run (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	began FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_drill_run PRIMARY KEY (id)
);

CREATE INDEX ix_drill_run_workflow_began ON drill_run (workflow, began);

CREATE TABLE evidence (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	made_at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_evidence PRIMARY KEY (id)
);

CREATE TABLE receipt (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	behaviour TEXT NOT NULL, 
	epoch INTEGER NOT NULL, 
	issued FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_receipt PRIMARY KEY (id)
);

CREATE TABLE revocation (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_revocation PRIMARY KEY (id)
);

CREATE TABLE waiver (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	ends_at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_waiver PRIMARY KEY (id)
);

CREATE INDEX ix_evidence_workflow_made_at ON evidence (workflow, made_at);

CREATE INDEX ix_receipt_workflow_behaviour_epoch_issued ON receipt (workflow, behaviour, epoch, issued);

CREATE INDEX ix_revocation_workflow_at ON revocation (workflow, at);

CREATE INDEX ix_waiver_workflow_ends_at ON waiver (workflow, ends_at);

CREATE TRIGGER receipt_never_UPDATE BEFORE UPDATE ON receipt
BEGIN SELECT RAISE(ABORT, 'receipts and revocations are append-only'); END;

CREATE TRIGGER receipt_never_DELETE BEFORE DELETE ON receipt
BEGIN SELECT RAISE(ABORT, 'receipts and revocations are append-only'); END;

CREATE TRIGGER revocation_never_UPDATE BEFORE UPDATE ON revocation
BEGIN SELECT RAISE(ABORT, 'receipts and revocations are append-only'); END;

CREATE TRIGGER revocation_never_DELETE BEFORE DELETE ON revocation
BEGIN SELECT RAISE(ABORT, 'receipts and revocations are append-only'); END;

CREATE TABLE rollout (
	workflow TEXT NOT NULL, 
	team TEXT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_rollout PRIMARY KEY (workflow)
);

CREATE INDEX ix_audit_target_seq ON audit (target, seq);

CREATE TABLE eval_set (
	version TEXT NOT NULL, 
	team TEXT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_eval_set PRIMARY KEY (version)
);

CREATE TABLE eval_publication (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	version TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_eval_publication PRIMARY KEY (id)
);

CREATE TABLE rubric_signature (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_rubric_signature PRIMARY KEY (id)
);

CREATE TABLE eval_run (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	began FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_eval_run PRIMARY KEY (id)
);

CREATE TABLE eval_answer (
	run TEXT NOT NULL, 
	example TEXT NOT NULL, 
	team TEXT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_eval_answer PRIMARY KEY (run, example), 
	CONSTRAINT fk_eval_answer_run FOREIGN KEY(run) REFERENCES eval_run (id)
);

CREATE INDEX ix_eval_publication_workflow_at ON eval_publication (workflow, at);

CREATE INDEX ix_rubric_signature_workflow_at ON rubric_signature (workflow, at);

CREATE INDEX ix_eval_run_workflow_began ON eval_run (workflow, began);

CREATE TABLE eval_waiting (
	workflow TEXT NOT NULL, 
	example TEXT NOT NULL, 
	team TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_eval_waiting PRIMARY KEY (workflow, example)
);

CREATE TABLE eval_captured (
	workflow TEXT NOT NULL, 
	example TEXT NOT NULL, 
	team TEXT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_eval_captured PRIMARY KEY (workflow, example)
);

CREATE TABLE hand_score (
	workflow TEXT NOT NULL, 
	example TEXT NOT NULL, 
	answer TEXT NOT NULL, 
	rubric TEXT NOT NULL, 
	rater TEXT NOT NULL, 
	team TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_hand_score PRIMARY KEY (workflow, example, answer, rubric, rater)
);

CREATE TABLE judge_calibration (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	began FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_judge_calibration PRIMARY KEY (id)
);

CREATE TABLE judge_mark (
	calibration TEXT NOT NULL, 
	item TEXT NOT NULL, 
	team TEXT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_judge_mark PRIMARY KEY (calibration, item), 
	CONSTRAINT fk_judge_mark_calibration FOREIGN KEY(calibration) REFERENCES judge_calibration (id)
);

CREATE TABLE online_day (
	workflow TEXT NOT NULL, 
	day TEXT NOT NULL, 
	team TEXT NOT NULL, 
	usd FLOAT NOT NULL, 
	scored INTEGER NOT NULL, 
	passed_over INTEGER NOT NULL, 
	CONSTRAINT pk_online_day PRIMARY KEY (workflow, day)
);

CREATE INDEX ix_judge_calibration_workflow_began ON judge_calibration (workflow, began);

CREATE TABLE forecast (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	made_at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_forecast PRIMARY KEY (id)
);

CREATE INDEX ix_forecast_workflow_made_at ON forecast (workflow, made_at);

CREATE TABLE cost_book (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	month TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	token TEXT NOT NULL, 
	CONSTRAINT pk_cost_book PRIMARY KEY (id)
);

CREATE INDEX ix_cost_book_workflow_month ON cost_book (workflow, month);

CREATE TABLE load_run (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	began FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_load_run PRIMARY KEY (id)
);

CREATE INDEX ix_load_run_workflow_began ON load_run (workflow, began);

CREATE TABLE link (
	hash TEXT NOT NULL, 
	team TEXT NOT NULL, 
	person TEXT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_link PRIMARY KEY (hash)
);

CREATE TABLE page (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	incident TEXT NOT NULL, 
	person TEXT NOT NULL, 
	state TEXT NOT NULL, 
	made_at FLOAT NOT NULL, 
	hop INTEGER NOT NULL, 
	due_at FLOAT, 
	sent_at FLOAT, 
	ended_at FLOAT, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_page PRIMARY KEY (id)
);

CREATE INDEX ix_page_incident_made_at ON page (incident, made_at);

CREATE INDEX ix_page_due_at ON page (due_at);

CREATE INDEX ix_page_person_sent_at ON page (person, sent_at);

CREATE INDEX ix_page_state_made_at ON page (state, made_at);

CREATE TABLE wording (
	workflow TEXT NOT NULL, 
	team TEXT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_wording PRIMARY KEY (workflow)
);

CREATE TABLE account (
	person TEXT NOT NULL, 
	team TEXT NOT NULL, 
	email TEXT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_account PRIMARY KEY (person)
);

CREATE TABLE invitation (
	hash TEXT NOT NULL, 
	team TEXT NOT NULL, 
	email TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_invitation PRIMARY KEY (hash)
);

CREATE INDEX ix_invitation_created_at ON invitation (created_at);

CREATE TABLE role_grant (
	person TEXT NOT NULL, 
	role TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	team TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_role_grant PRIMARY KEY (person, role, scope, workflow)
);

CREATE INDEX ix_login_session_person ON login_session (person);

CREATE TABLE on_call_override (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	rotation TEXT NOT NULL, 
	begins FLOAT NOT NULL, 
	ends FLOAT NOT NULL, 
	made_at FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_on_call_override PRIMARY KEY (id)
);

CREATE INDEX ix_on_call_override_rotation_ends ON on_call_override (rotation, ends);

CREATE TABLE on_call_reading (
	rotation TEXT NOT NULL, 
	team TEXT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_on_call_reading PRIMARY KEY (rotation)
);

CREATE TABLE review (
	id TEXT NOT NULL, 
	team TEXT NOT NULL, 
	workflow TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	until FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_review PRIMARY KEY (id)
);

CREATE INDEX ix_review_workflow_until ON review (workflow, until);

CREATE INDEX ix_review_state_until ON review (state, until);

CREATE INDEX ix_audit_actor_seq ON audit (actor, seq);

CREATE INDEX ix_audit_action_seq ON audit (action, seq);
