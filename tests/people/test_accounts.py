"""Letting people in, passwords, sessions, and seeing people off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from argon2 import PasswordHasher

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.people.accounts.attempts import Attempts, TooManyAttempts
from roadworthy.people.accounts.passwords import Passwords
from roadworthy.people.accounts.rules import new_id, password_problem
from roadworthy.people.accounts.service import (
    Accounts,
    InvitationRefused,
    NotAdmin,
    PeopleRefused,
    ProviderRefused,
    WrongPerson,
)
from roadworthy.people.directory import marked, standing_of
from roadworthy.people.roles import Grant
from roadworthy.people.service import MOST_SESSIONS, From, PasswordRefused, SignIn, SignInRefused
from roadworthy.workflow.model import ApiKey, Configuration, Owners, Person, Settings, Smtp, Workflow
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor

ADA, BO, OS = Actor("ada"), Actor("bo"), Actor("os:0")
HERE, THERE = From("10.0.0.1", "Browser", "console:10.0.0.1"), From("10.0.0.2", "", "console:10.0.0.2")
GOOD, BETTER = "four old wooden boats", "a lake in late autumn"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Install:
    def __init__(self, smtp: Smtp | None = None) -> None:
        self.now = 1_000_000.0
        self.state = MemoryState()
        people = {
            "ada": Person("ada", "Ada Love", "Ada@x.org"), "bo": Person("bo", "Bo", "bo@x.org"),
            "gone": Person("gone", "Gone", "gone@x.org", left=True),
        }  # fmt: skip
        flows = {"support": Workflow("support", "default", Owners("ada", "bo", "ada"), "enforce")}
        with self.state.write() as tx:
            tx.add_configuration(
                AppliedConfiguration(1, 0.0, "os:0", {}, Configuration(Settings(smtp=smtp), {}, people, flows))
            )
        clock: Callable[[], float] = lambda: self.now  # noqa: E731
        self.sign_in = SignIn(self.state, b"k" * 32, clock=clock, passwords=Passwords(QUICK))
        self.accounts = Accounts(self.state, self.sign_in, clock=clock, console_url=lambda: "http://c")

    def invited(self, email: str = "zoe@x.org", role: str = "viewer", **where: str) -> str:
        grant = Grant("", role, **(where or {"team": "default"}))  # type: ignore[arg-type]
        return self.accounts.invite(email, [grant], ADA).link.rpartition("/")[2]

    def with_password(self, person: str = "bo", password: str = GOOD) -> str:
        token = self.sign_in.exchange(self.sign_in.code(person, "os:0"), "os:0").token
        self.sign_in.set_password(person, password, current=None, token=token)
        return token

    def trail(self) -> list[str]:
        with self.state.read() as tx:
            return [f"{row.actor} {row.action} {row.target} {row.outcome}" for row in tx.audit()]

    def may(self, person: str, permission: str, workflow: str = "support") -> bool:
        with self.state.read() as tx:
            return permission in standing_of(tx, person).of(workflow)


@pytest.fixture
def install() -> Install:
    return Install()


# --- passwords


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaa", "passwordpassword", "Password1234!", "123456789012", "qwertyuiopas",
                 "adalove12345", "Roadworthy2026", "abababababab", "x" * 201],
)  # fmt: skip
def test_what_is_tried_first_is_no_password(password: str) -> None:
    assert password_problem(password, email="adalove@x.org", name="Ada Love") is not None


@pytest.mark.parametrize("password", [GOOD, BETTER, "Tr0ub4dor&3-horse", "grüner Apfel am Tor", "0412 8837 1129 55"])
def test_long_ones_are(password: str) -> None:
    assert password_problem(password, email="ada@x.org", name="Ada Love") is None


def test_a_password_signs_in_by_address_whatever_its_case_and_by_id(install: Install) -> None:
    install.with_password("ada")
    for name in ("ada@x.org", "ADA@X.ORG ", "ada"):
        assert install.sign_in.by_password(name, GOOD, HERE).person.id == "ada"


@pytest.mark.parametrize("name", ["nobody@x.org", "bo@x.org", "ada", "gone@x.org", "", "a" * 5000])
def test_a_stranger_a_leaver_and_a_wrong_password_are_told_the_same(install: Install, name: str) -> None:
    install.with_password("ada")
    with pytest.raises(SignInRefused, match="do not belong together"):
        install.sign_in.by_password(name, BETTER, HERE)
    assert install.trail()[-1].endswith("denied")


def test_of_a_stranger_as_much_is_hashed_as_of_anybody(install: Install) -> None:
    asked: list[str] = []

    class Counting:
        def hash(self, password: str) -> str:
            return QUICK.hash(password)

        def verify(self, hash: str, password: str) -> bool:
            asked.append(password)
            return QUICK.verify(hash, password)

        def check_needs_rehash(self, hash: str) -> bool:
            return False

    passwords = Passwords(Counting())
    assert not passwords.matches(None, GOOD)
    assert not passwords.matches(QUICK.hash(BETTER), GOOD)
    assert asked == [GOOD, GOOD]


def test_no_hash_opens_for_nobody() -> None:
    assert not Passwords(QUICK).matches(None, "nobody has this password")


def test_a_new_password_needs_the_present_one_and_ends_every_other_session(install: Install) -> None:
    install.with_password("bo")
    here = install.sign_in.by_password("bo", GOOD, HERE).token
    there = install.sign_in.by_password("bo", GOOD, THERE).token
    with pytest.raises(PasswordRefused, match="present"):
        install.sign_in.set_password("bo", BETTER, current="wrong", token=here)
    install.sign_in.set_password("bo", BETTER, current=GOOD, token=here)
    assert install.sign_in.person(here) is not None
    assert install.sign_in.person(there) is None
    with pytest.raises(SignInRefused):
        install.sign_in.by_password("bo", GOOD, HERE)


def test_whoever_forgot_it_gets_in_with_a_code_and_sets_another(install: Install) -> None:
    install.with_password("bo")
    install.with_password("bo", BETTER)
    assert install.sign_in.by_password("bo", BETTER, HERE).person.id == "bo"


def test_a_hash_of_weaker_parameters_is_made_anew_at_the_next_sign_in(install: Install) -> None:
    install.with_password("bo")
    stronger = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    install.sign_in._passwords = Passwords(stronger)
    install.sign_in.by_password("bo", GOOD, HERE)
    with install.state.read() as tx:
        account = tx.account("bo")
    assert account is not None
    assert account.password is not None
    assert not stronger.check_needs_rehash(account.password)


# --- guessing


def test_guesses_at_an_account_wait_ever_longer_from_wherever_they_come(install: Install) -> None:
    install.with_password("bo")
    for number in range(5):
        with pytest.raises(SignInRefused):
            install.sign_in.by_password("bo@x.org", "wrong", From(f"10.0.1.{number}"))
    with pytest.raises(TooManyAttempts):
        install.sign_in.by_password("bo@x.org", GOOD, From("10.0.2.1"))
    install.now += 1.1
    assert install.sign_in.by_password("bo@x.org", GOOD, From("10.0.2.1")).person.id == "bo"


def test_the_wait_doubles_ends_at_a_quarter_of_an_hour_and_is_forgotten_in_time() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waits = []
    for number in range(18):
        try:
            attempts.begin("bo", f"there {number}")
            waits.append(0.0)
        except TooManyAttempts as error:
            waits.append(error.wait)
            now[0] += error.wait
            attempts.begin("bo", f"there {number}")
    assert waits[:9] == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 4.0, 8.0]
    assert max(waits) == 900.0
    now[0] += 3601.0
    for _ in range(5):
        attempts.begin("bo", "here")


def test_of_guesses_that_come_at_once_no_more_are_looked_at_than_of_others(install: Install) -> None:
    """A try counts before it is looked at, and not when its guess was found wrong, some hundredths later."""
    install.with_password("bo")
    looked = []

    class Slow(Passwords):
        def matches(self, kept: str | None, password: str) -> bool:
            looked.append(password)
            if len(looked) < 9:  # the next one comes while this one is being hashed
                with pytest.raises((SignInRefused, TooManyAttempts)):
                    install.sign_in.by_password("bo", f"guess {len(looked)}", From(f"10.0.3.{len(looked)}"))
            return False

    install.sign_in._passwords = Slow(QUICK)
    with pytest.raises(SignInRefused):
        install.sign_in.by_password("bo", "guess 0", HERE)
    assert len(looked) == 5


def test_whoever_is_locked_out_by_the_guesses_of_others_gets_in_with_a_code(install: Install) -> None:
    for number in range(20):
        with pytest.raises(SignInRefused):
            install.sign_in.by_password(f"nobody{number}", "wrong", HERE)
    with pytest.raises(TooManyAttempts):
        install.sign_in.exchange("AAAA-AAAA-AAAA", HERE.actor, HERE)
    code = install.sign_in.code("bo", "os:0")
    assert install.sign_in.exchange(code, HERE.actor, HERE).person.id == "bo"
    with pytest.raises(TooManyAttempts):
        install.sign_in.exchange(code, HERE.actor, HERE)


def test_an_address_that_tries_many_accounts_waits_too_and_a_good_one_does_not_help_it(install: Install) -> None:
    install.with_password("bo")
    for number in range(19):
        with pytest.raises(SignInRefused):
            install.sign_in.by_password(f"nobody{number}", "wrong", HERE)
    install.sign_in.by_password("bo", GOOD, HERE)
    with pytest.raises(SignInRefused):
        install.sign_in.by_password("one-more", "wrong", HERE)
    with pytest.raises(TooManyAttempts):
        install.sign_in.by_password("bo", GOOD, HERE)
    assert install.sign_in.by_password("bo", GOOD, THERE).person.id == "bo"


# --- sessions


def test_every_sign_in_is_a_session_of_its_own_and_can_be_ended_alone(install: Install) -> None:
    install.with_password("bo")
    one, two = (install.sign_in.by_password("bo", GOOD, HERE).token for _ in range(2))
    assert one != two
    session = install.sign_in.session(one)
    assert session is not None
    assert session.via == "password"
    assert install.sign_in.sign_out("bo", only=session.id) == 1
    assert (install.sign_in.person(one), install.sign_in.person(two) is not None) == (None, True)


@pytest.mark.parametrize("later", [0.0, -3600.0], ids=["at the same instant", "after the clock was set back"])
def test_however_many_sessions_there_are_the_new_one_is_open(install: Install, later: float) -> None:
    def signed_in() -> str:
        return install.sign_in.exchange(install.sign_in.code("bo", "os:0"), "os:0").token

    tokens = [signed_in() for _ in range(MOST_SESSIONS)]
    for _ in range(3):
        install.now += later
        tokens.append(signed_in())
        assert install.sign_in.person(tokens[-1]) is not None
        assert len(install.sign_in.sessions("bo")) == MOST_SESSIONS
    if not later:
        assert [token for token in tokens if install.sign_in.person(token) is None] == tokens[:3]


def test_a_person_ends_no_session_of_another(install: Install) -> None:
    install.with_password("bo")
    theirs = install.sign_in.by_password("bo", GOOD, HERE).token
    session = install.sign_in.session(theirs)
    assert session is not None
    assert install.sign_in.sign_out("ada", only=session.id) == 0
    assert install.sign_in.person(theirs) is not None


def test_no_token_is_kept(install: Install) -> None:
    install.with_password("bo")
    token = install.sign_in.by_password("bo", GOOD, HERE).token
    link = install.invited()
    kept = repr(vars(install.state))
    assert token not in kept
    assert link not in kept
    assert GOOD not in kept


# --- invitations


def test_an_invitation_lets_somebody_in_once_with_what_it_gives(install: Install) -> None:
    token = install.invited(role="operator", workflow="support")
    assert install.accounts.look(token).invitation.email == "zoe@x.org"
    done = install.accounts.accept(token, HERE, name="Zoë  \x07 Last", password=GOOD, signed_in=None)
    assert (done.person.id, done.person.name) == ("zoe", "Zoë Last")
    assert install.may("zoe", "stop")
    assert install.sign_in.by_password("zoe@x.org", GOOD, HERE).person.id == "zoe"
    with pytest.raises(InvitationRefused):
        install.accounts.accept(token, HERE, name="Eve", password=BETTER, signed_in=None)
    with pytest.raises(InvitationRefused):
        install.accounts.look(token)


def test_looking_at_it_ten_times_changes_nothing(install: Install) -> None:
    token = install.invited()
    before = install.trail()
    for _ in range(10):
        install.accounts.look(token)
    assert install.trail() == before


@pytest.mark.parametrize("how", ["late", "withdrawn", "newer", "unknown", "left"])
def test_one_that_is_over_lets_nobody_in_and_never_says_why(install: Install, how: str) -> None:
    made = install.accounts.invite("zoe@x.org", [Grant("", "viewer", team="default")], ADA)
    token = made.link.rpartition("/")[2]
    if how == "late":
        install.now += 7 * 86_400.0
    elif how == "withdrawn":
        install.accounts.withdraw(made.invitation.id, ADA)
    elif how == "newer":
        install.invited()
    elif how == "unknown":
        token = token[::-1]
    else:
        other = install.invited("bo@x.org")
        install.accounts.leave("bo", ADA)
        token = other
    with pytest.raises(InvitationRefused, match="was used, has expired, was withdrawn or never was"):
        install.accounts.accept(token, HERE, name="Zoe", password=GOOD, signed_in=None)


def test_nobody_takes_an_account_over_with_an_invitation(install: Install) -> None:
    install.with_password("bo")
    token = install.invited("BO@x.org", role="admin")
    with pytest.raises(WrongPerson, match="Sign in"):
        install.accounts.accept(token, HERE, password=BETTER, signed_in=None)
    with pytest.raises(WrongPerson, match="Sign out"):
        install.accounts.accept(token, HERE, password=BETTER, signed_in="ada")
    assert install.sign_in.by_password("bo", GOOD, HERE).person.id == "bo"
    install.accounts.accept(token, HERE, signed_in="bo")
    assert install.may("bo", "people")


def test_nobody_takes_an_account_of_an_identity_provider_over_with_a_password(install: Install) -> None:
    install.accounts.by_provider("bo@x.org", "https://id 1", "Bo", HERE)
    token = install.invited("bo@x.org", role="scorer")
    with pytest.raises(WrongPerson, match="Sign in"):
        install.accounts.accept(token, HERE, password=GOOD, signed_in=None)
    assert not install.sign_in.has_password("bo")
    assert install.accounts.accept(token, HERE, signed_in="bo").person.id == "bo"


@pytest.mark.parametrize("how", ["left", "no admin"])
def test_what_an_admin_left_behind_lets_nobody_in_once_they_are_none(install: Install, how: str) -> None:
    install.accounts.grant(Grant("bo", "admin"), ADA)
    token = install.accounts.invite("zoe@x.org", [Grant("", "admin")], BO).link.rpartition("/")[2]
    assert install.accounts.look(token).inviter == "Bo"
    if how == "left":
        install.accounts.leave("bo", ADA)
    else:
        install.accounts.revoke(Grant("bo", "admin"), ADA)
    with pytest.raises(InvitationRefused):
        install.accounts.accept(token, HERE, name="Zoe", password=GOOD, signed_in=None)
    with pytest.raises(ProviderRefused):
        install.accounts.by_provider("zoe@x.org", "https://id 9", "Zoe", HERE)
    assert install.accounts.invitations() == []


def test_somebody_of_people_yaml_sets_a_first_password_by_an_invitation(install: Install) -> None:
    token = install.invited("bo@x.org", role="owner", workflow="support")
    assert install.accounts.accept(token, HERE, password=GOOD, signed_in=None).person.name == "Bo"


def test_a_weak_password_uses_no_invitation_up(install: Install) -> None:
    token = install.invited()
    with pytest.raises(PasswordRefused):
        install.accounts.accept(token, HERE, name="Zoe", password="zoe", signed_in=None)
    install.accounts.accept(token, HERE, name="Zoe", password=GOOD, signed_in=None)


def test_an_id_is_never_given_twice(install: Install) -> None:
    for number in range(3):
        token = install.invited(f"ada@{number}.org")
        install.accounts.accept(token, HERE, name="A", password=GOOD, signed_in=None)
    assert [each.person.id for each in install.accounts.everybody()][:4] == ["ada", "ada-2", "ada-3", "ada-4"]
    assert new_id("engine@x.org", set()) == "engine-2"


@pytest.mark.parametrize("actor", [OS, BO, Actor("nobody")])
def test_only_an_admin_invites_and_a_refusal_is_audited(install: Install, actor: Actor) -> None:
    with pytest.raises(NotAdmin):
        install.accounts.invite("zoe@x.org", [Grant("", "viewer", team="default")], actor)
    assert install.trail() == [f"{actor.id} person.invite email/zoe@x.org denied"]


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        (Grant("", "viewer"), "say where"),
        (Grant("", "owner", workflow="suport"), "did you mean 'support'"),
        (Grant("", "viewer", team="no team!"), "expected the name of a team"),
        (Grant("", "admin", workflow="support"), "whole install"),
    ],
)
def test_a_role_that_cannot_be_held_is_refused_in_words(install: Install, grant: Grant, said: str) -> None:
    with pytest.raises(PeopleRefused, match=said):
        install.accounts.invite("zoe@x.org", [grant], ADA)


@pytest.mark.parametrize("email", ["", "zoe", "zoe@x.org\nbcc: all@x.org", "a b@x.org", "<zoe@x.org>"])
def test_what_is_no_address_is_refused(install: Install, email: str) -> None:
    with pytest.raises(PeopleRefused, match="mail address"):
        install.accounts.invite(email, [Grant("", "viewer", team="default")], ADA)


def test_whoever_is_made_owner_beside_a_named_one_is_told_how_to_be_named(install: Install) -> None:
    done = install.accounts.invite("zoe@x.org", [Grant("", "owner", workflow="support")], ADA)
    assert "The named owner of support is ada" in done.note
    assert install.accounts.invite("ada@x.org", [Grant("", "owner", workflow="support")], ADA).note == ""


def test_an_invitation_is_mailed_where_a_server_is_declared() -> None:
    install = Install(Smtp("mail.x.org", "rw@x.org"))
    done = install.accounts.invite("zoe@x.org", [Grant("", "viewer", team="default")], ADA)
    assert done.mailed
    with install.state.read() as tx:
        [mail] = tx.deliveries(limit=9)
    assert done.link.rpartition("/")[2] not in mail.body, "whoever reads the database has no token"
    assert done.link in install.accounts.fill(mail.body)


# --- an identity provider


def test_a_provider_signs_in_who_is_known_or_invited_and_gives_no_right(install: Install) -> None:
    done = install.accounts.by_provider("BO@x.org", "https://id 1", "Bo", HERE)
    assert done.person.id == "bo"
    install.invited("zoe@x.org")
    assert install.accounts.by_provider("zoe@x.org", "https://id 2", "Zoe", HERE).person.name == "Zoe"
    assert install.may("zoe", "read")
    assert not install.may("zoe", "stop")


@pytest.mark.parametrize("email", ["eve@x.org", "gone@x.org", ""])
def test_a_provider_lets_no_stranger_and_no_leaver_in(install: Install, email: str) -> None:
    with pytest.raises(ProviderRefused):
        install.accounts.by_provider(email, "https://id 1", "Eve", HERE)
    assert install.trail()[-1].endswith("login session denied")


def test_an_address_that_went_to_somebody_else_is_not_the_same_person(install: Install) -> None:
    install.accounts.by_provider("bo@x.org", "https://id 1", "Bo", HERE)
    with pytest.raises(ProviderRefused, match="another account"):
        install.accounts.by_provider("bo@x.org", "https://id 2", "Bob", HERE)


# --- roles and leaving


def test_what_was_granted_is_taken_away_and_what_files_give_is_not(install: Install) -> None:
    install.accounts.grant(Grant("bo", "admin"), ADA)
    assert install.may("bo", "people")
    install.accounts.revoke(Grant("bo", "admin"), ADA)
    assert not install.may("bo", "people")
    with pytest.raises(PeopleRefused, match=r"people\.yaml"):
        install.accounts.revoke(Grant("bo", "operator", team="default"), ADA)


def test_whoever_makes_the_first_admin_stays_one(install: Install) -> None:
    install.accounts.grant(Grant("bo", "admin"), ADA)
    assert install.may("ada", "people")
    install.accounts.revoke(Grant("ada", "admin"), BO)
    assert not install.may("ada", "people")


def test_a_leaver_is_out_at_once_and_what_they_owned_is_named(install: Install) -> None:
    install.with_password("bo")
    token = install.sign_in.by_password("bo", GOOD, HERE).token
    install.accounts.grant(Grant("bo", "admin"), ADA)
    with install.state.write() as tx:
        tx.put_key(ApiKey("key_1", "h", "t", "default", ["support"], kind="tester", person="bo"))
        tx.put_key(ApiKey("key_2", "i", "t", "default", ["support"]))
    done = install.accounts.leave("bo", OS)
    assert install.sign_in.person(token) is None
    assert not install.may("bo", "read")
    assert (done.grants_dropped, done.keys_revoked, [str(each) for each in done.orphans]) == (
        1, 1, ["support (prompt)"],
    )  # fmt: skip
    with pytest.raises(SignInRefused):
        install.sign_in.by_password("bo", GOOD, HERE)
    with install.state.read() as tx:
        kept = tx.keys()
    assert [key.revoked_at is None for key in kept] == [False, True]


def test_whoever_comes_back_has_what_files_give_and_no_password(install: Install) -> None:
    install.with_password("bo")
    install.accounts.grant(Grant("bo", "admin"), ADA)
    install.accounts.leave("bo", ADA)
    with pytest.raises(NotAdmin):
        install.accounts.bring_back("bo", OS)
    install.accounts.bring_back("bo", ADA)
    assert install.may("bo", "stop")
    assert not install.may("bo", "people")
    with pytest.raises(SignInRefused):
        install.sign_in.by_password("bo", GOOD, HERE)
    with pytest.raises(PeopleRefused, match=r"people\.yaml says so"):
        install.accounts.bring_back("gone", ADA)


def test_a_list_of_people_says_why_each_may_what(install: Install) -> None:
    rows = {each.person.id: each for each in install.accounts.everybody()}
    assert [(role.role, role.source) for role in rows["ada"].roles] == [
        ("operator", "people.yaml"), ("owner", "owners"), ("admin", "nobody else is admin"),
    ]  # fmt: skip
    assert (rows["gone"].roles, rows["ada"].owns) == ([], ["support (workflow)", "support (cost)"])


def test_whoever_has_left_is_marked_in_the_configuration_from_then_on(install: Install) -> None:
    install.accounts.leave("bo", ADA)
    with install.state.read() as tx:
        applied = tx.applied()
        assert applied is not None
        now, before = (marked(tx, applied.configuration, at) for at in (None, install.now - 1.0))
    assert (now.people["bo"].left, before.people["bo"].left) == (True, False)
