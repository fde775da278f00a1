from __future__ import annotations

import asyncio
import logging
import socket as sockets
from pathlib import Path
from random import Random

import pytest
from aiohttp import WSMsgType

from bezant_server.errors import CursorExpired
from bezant_server.events.clock import Clock
from tests.support.certificates import self_signed
from tests.unit.events.capture import running
from tests.unit.events.clocks import ManualClock
from tests.unit.events.socket_gateway import GREETING, SocketGateway, order, quote, socket_gateway

FIELDS = '{"fields":["31","70","71","83","84","85","86","87","88","6509","7295","7296","7741","7762"]}'


async def test_it_primes_and_subscribes_in_order_once_the_socket_is_ready(gateway: SocketGateway) -> None:
    gateway.greets = False
    async with running(gateway.url) as run:
        await gateway.until(lambda: "open" in gateway.journal)
        await gateway.say('{"topic":"system","hb":1}', '{"topic":"act","args":{}}')
        await run.until_status("frames", {"act": 1, "hb": 1})
        assert gateway.journal == ["POST /tickle", "open"]
        assert run.status()["connected"] is False
        await gateway.say(GREETING)
        await gateway.subscribed()
        assert gateway.journal == [
            "POST /tickle",
            "open",
            "GET /iserver/accounts",
            "GET /iserver/account/orders?force=true",
            "GET /iserver/account/orders",
            "ws sor+{}",
            "ws spl+{}",
        ]
        assert run.status()["connected"] is True


async def test_a_socket_that_says_ready_late_is_subscribed_anyway_and_once_more(
    gateway: SocketGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.greets = False
    async with running(gateway.url, {"BEZANT_EVENTS_READY_TIMEOUT_SECS": "0.1"}) as run:
        await gateway.subscribed()
        assert any("not ready within 0.1 s" in message for message in caplog.messages)
        assert run.status()["connected"] is False
        await gateway.say(GREETING)
        await gateway.subscribed(times=2)
        assert run.status()["connected"] is True
        assert gateway.journal.count("open") == 1


async def test_sockets_that_stay_mute_make_no_gaps(gateway: SocketGateway) -> None:
    async with running(
        gateway.url, {"BEZANT_EVENTS_READY_TIMEOUT_SECS": "0.01", "BEZANT_EVENTS_SILENCE_SECS": "0.05"}
    ) as run:
        await gateway.subscribed()
        gateway.greets = False
        await gateway.until(lambda: gateway.journal.count("open") >= 4)
        gap = await run.poll("gap")
        assert gap is not None
        assert len(gap["events"]) == 1
        gateway.greets = True
        assert [payload["reason"] for payload in await run.payloads("gap", 2)] == [
            "process_restart",
            "reconnected_after_disconnect",
        ]


@pytest.mark.parametrize("steps", range(0, 40, 2))
async def test_it_stops_at_whatever_moment_of_a_dying_connection(gateway: SocketGateway, steps: int) -> None:
    async with running(gateway.url) as run:
        await gateway.subscribed()
        gateway.drop()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.wait_for(run.stop(), 10)


async def test_failing_priming_calls_are_survived(gateway: SocketGateway) -> None:
    gateway.orders_status = 400
    async with running(gateway.url) as run:
        await gateway.subscribed()
        await gateway.say(order(1))
        assert await run.payloads("orders", 1) == [{"topic": "sor", "args": [{"orderId": 1}]}]


async def test_text_and_binary_frames_reach_their_topics(gateway: SocketGateway) -> None:
    async with running(gateway.url) as run:
        await gateway.subscribed()
        await gateway.say(order(1))
        await gateway.sockets[-1].send_bytes(order(2).encode())
        await gateway.say('{"topic":"spl","args":{"DU1.Core":{"nl":1.50}}}')
        assert [payload["args"][0]["orderId"] for payload in await run.payloads("orders", 2)] == [1, 2]
        assert await run.payloads("pnl", 1) == [{"topic": "spl", "args": {"DU1.Core": {"nl": 1.5}}}]


async def test_the_first_connection_is_no_gap_but_the_process_start_is(gateway: SocketGateway) -> None:
    async with running(gateway.url) as run:
        await gateway.subscribed()
        answer = await run.poll("gap")
        assert answer is not None
        assert [event["payload"] for event in answer["events"]] == [
            {"topic": "gap", "reason": "process_restart", "new_reset_epoch": answer["reset_epoch"]}
        ]
        orders = await run.poll("orders")
        assert orders is not None
        assert orders["events"] == []
        assert run.status()["reconnect_count"] == 0


@pytest.mark.parametrize("politely", [True, False])
async def test_a_reconnect_tells_every_topic_and_resubscribes_everything(
    gateway: SocketGateway, *, politely: bool
) -> None:
    async with running(gateway.url) as run:
        await gateway.subscribed()
        before = await run.poll("marketdata", conid="265598")
        assert before is not None
        await gateway.until(lambda: f"smd+265598+{FIELDS}" in gateway.requests)
        if politely:
            await gateway.sockets[-1].close()
        else:
            gateway.drop()
        await gateway.until(lambda: gateway.requests.count(f"smd+265598+{FIELDS}") == 2)
        assert gateway.requests.count("sor+{}") == gateway.requests.count("spl+{}") == 2
        assert gateway.journal.count("POST /tickle") == 2
        epoch = before["reset_epoch"] + 1
        for topic, conid in (("orders", ""), ("pnl", ""), ("marketdata", "265598"), ("gap", "")):
            answer = await run.poll(topic, conid=conid)
            assert answer is not None
            gap = answer["events"][-1]
            assert gap["payload"]["reason"] == "reconnected_after_disconnect"
            assert gap["payload"]["new_reset_epoch"] == gap["reset_epoch"] == answer["reset_epoch"] == epoch
        await gateway.say(order(1))
        await run.payloads("orders", 2)
        orders = await run.poll("orders")
        assert orders is not None
        assert orders["events"][-1]["reset_epoch"] == epoch
        assert run.status()["reconnect_count"] == 1
        assert run.status()["reset_epoch"] == epoch


async def test_a_silent_socket_is_replaced(gateway: SocketGateway) -> None:
    async with running(gateway.url, {"BEZANT_EVENTS_SILENCE_SECS": "0.05"}) as run:
        await gateway.subscribed(times=2)
        assert "silent for 0.05 s" in run.status()["last_error"]


async def test_heartbeats_keep_a_socket(gateway: SocketGateway) -> None:
    silence = 1.0
    async with running(gateway.url, {"BEZANT_EVENTS_SILENCE_SECS": str(silence)}) as run:
        await gateway.subscribed()
        loop = asyncio.get_running_loop()
        end = loop.time() + 1.5 * silence
        beats = 0
        while loop.time() < end:
            await gateway.say('{"topic":"system","hb":1}')
            beats += 1
            await run.until_frames("hb", beats)
        assert gateway.journal.count("open") == 1


async def test_it_sends_tic_again_and_again(gateway: SocketGateway) -> None:
    async with running(gateway.url, {"BEZANT_EVENTS_HEARTBEAT_SECS": "0.05"}):
        await gateway.until(lambda: gateway.requests.count("tic") >= 3)


@pytest.mark.parametrize("status", [401, 302, 500])
async def test_a_logged_out_gateway_is_asked_again_until_it_is_logged_in(gateway: SocketGateway, status: int) -> None:
    gateway.tickle_status = status
    async with running(gateway.url) as run:
        await gateway.until(lambda: gateway.journal.count("POST /tickle") >= 3)
        assert "open" not in gateway.journal
        assert run.status()["connected"] is False
        assert run.status()["last_error"]
        gateway.tickle_status = 200
        await gateway.subscribed()
        answer = await run.poll("gap")
        assert answer is not None
        assert len(answer["events"]) == 1


class NotedWaits(Random):
    """Jitter that notes the longest wait each draw allows."""

    def __init__(self) -> None:
        super().__init__(7)
        self.longest: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.longest.append(b)
        return super().uniform(a, b)


@pytest.mark.parametrize(("lived_secs", "starts_over"), [(29, False), (30, True)])
async def test_only_a_connection_that_lived_long_enough_makes_waits_short_again(
    gateway: SocketGateway, lived_secs: float, *, starts_over: bool
) -> None:
    manual = ManualClock()
    waits = NotedWaits()
    gateway.tickle_status = 401
    variables = {"BEZANT_EVENTS_BACKOFF_MIN_SECS": "0.001", "BEZANT_EVENTS_BACKOFF_MAX_SECS": "60"}
    async with running(gateway.url, variables, clock=manual.clock, random=waits):
        await gateway.until(lambda: gateway.journal.count("POST /tickle") == 7)
        gateway.tickle_status = 200
        await gateway.subscribed()
        manual.advance(lived_secs)
        gateway.drop()
        await gateway.subscribed(times=2)
        assert (waits.longest[-1] < 0.01) is starts_over


async def test_a_gateway_that_comes_up_later_is_found(tmp_path: Path) -> None:
    _, context = self_signed(tmp_path)
    with sockets.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        async with running(f"https://127.0.0.1:{port}/v1/api") as run:
            async with asyncio.timeout(20):
                while not run.status()["last_error"]:  # noqa: ASYNC110  nothing else tells of it
                    await asyncio.sleep(0.005)
            answer = await run.poll("marketdata", conid="8314")
            assert answer is not None
            assert answer["events"] == []
            reserved.close()
            async with socket_gateway(context, port=port) as gateway:
                await gateway.until(lambda: f"smd+8314+{FIELDS}" in gateway.requests)
                await gateway.say(quote(8314, "1"))
                assert (await run.payloads("marketdata", 1, conid="8314"))[0]["31"] == "1"


async def test_broken_unknown_and_huge_frames_are_counted_and_survived(gateway: SocketGateway) -> None:
    async with running(gateway.url, {"BEZANT_EVENTS_MAX_FRAME_BYTES": "2000"}) as run:
        await gateway.subscribed()
        await gateway.say('{"topic":"sor"', '{"topic":"spl","nl":NaN}', "[]", '{"topic":"new"}', "{}")
        await gateway.sockets[-1].send_frame(b'{"topic":"sor","x":"\xff"}', WSMsgType.TEXT)
        await gateway.say('{"topic":"sor","args":"' + "x" * 5000 + '"}')
        await gateway.say(order(1))
        assert len(await run.payloads("orders", 1)) == 1
        status = run.status()
        assert (status["frames_malformed"], status["frames_unknown"], status["frames_oversize"]) == (4, 2, 1)
        assert gateway.journal.count("open") == 1


async def test_a_frame_beyond_all_bounds_costs_the_socket_but_not_the_capture(gateway: SocketGateway) -> None:
    async with running(gateway.url, {"BEZANT_EVENTS_MAX_FRAME_BYTES": "2000"}) as run:
        await gateway.subscribed()
        await gateway.say("x" * 100_000)
        await gateway.subscribed(times=2)
        await gateway.say(order(1))
        assert [payload["topic"] for payload in await run.payloads("orders", 2)] == ["gap", "sor"]
        assert run.status()["frames_oversize"] == 1


async def test_the_handshake_carries_the_jar_and_the_session_and_no_secret_is_told(
    gateway: SocketGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(gateway.url) as run:
        run.jar.learn_from_request("JSESSIONID=secret-login; api=secret-old")
        await gateway.subscribed()
        gateway.drop()
        await gateway.subscribed(times=2)
        assert gateway.cookies[0].split("; ") == [
            "JSESSIONID=secret-login",
            "x-sess-uuid=secret-uuid",
            'api={"session":"secret-session-0"}',
        ]
        assert 'api={"session":"secret-session-1"}' in gateway.cookies[1]
        assert b"secret" not in run.capture.face.status()
    assert "secret" not in caplog.text


async def test_a_defect_of_our_own_interrupts_the_capture_but_does_not_end_it(
    gateway: SocketGateway, caplog: pytest.LogCaptureFixture
) -> None:
    manual = ManualClock()
    choked_on = "a cookie, say"
    broken = False

    def wall_us() -> int:
        nonlocal broken
        if broken:
            broken = False
            raise ZeroDivisionError(choked_on)
        return manual.wall_us

    async with running(gateway.url, clock=Clock(wall_us=wall_us)) as run:
        await gateway.subscribed()
        broken = True
        await gateway.say(order(1))
        await gateway.subscribed(times=2)
        await gateway.say(order(2))
        assert [payload["topic"] for payload in await run.payloads("orders", 2)] == ["gap", "sor"]
        assert "ZeroDivisionError" in run.status()["last_error"]
    assert "a defect interrupted the capture: ZeroDivisionError" in caplog.text
    assert choked_on not in caplog.text


async def test_a_line_is_subscribed_at_its_first_poll_only(gateway: SocketGateway) -> None:
    async with running(gateway.url) as run:
        await gateway.subscribed()
        for _ in range(3):
            await run.poll("marketdata", conid="265598")
        await run.poll("marketdata", conid="8314")
        await gateway.until(lambda: f"smd+8314+{FIELDS}" in gateway.requests)
        assert gateway.requests.count(f"smd+265598+{FIELDS}") == 1
        await gateway.say(quote(265598, "190.1"), quote(8314, "130.0"), quote(999, "1"))
        assert [payload["31"] for payload in await run.payloads("marketdata", 1, conid="265598")] == ["190.1"]
        assert [payload["31"] for payload in await run.payloads("marketdata", 1, conid="8314")] == ["130.0"]
        status = await run.until_status("topics_subscribed", ["orders", "pnl", "marketdata:265598", "marketdata:8314"])
        assert status["buffer_sizes"] == {
            "orders": 0,
            "pnl": 0,
            "gap": 1,
            "marketdata:265598": 1,
            "marketdata:8314": 1,
        }


async def test_a_line_is_renewed_while_it_is_read_and_released_when_it_is_not(gateway: SocketGateway) -> None:
    variables = {"BEZANT_EVENTS_RENEW_SECS": "0.1", "BEZANT_EVENTS_RELEASE_SECS": "0.6"}
    async with running(gateway.url, variables) as run:
        await gateway.subscribed()
        answer = await run.poll("marketdata", conid="265598")
        assert answer is not None
        await gateway.until(lambda: gateway.requests.count(f"smd+265598+{FIELDS}") >= 3)
        await gateway.until(lambda: "umd+265598+{}" in gateway.requests)
        assert gateway.requests[-1] == "umd+265598+{}"
        assert run.status()["marketdata_lines"] == []
        with pytest.raises(CursorExpired) as caught:
            await run.poll("marketdata", answer["next_cursor"], conid="265598")
        assert caught.value.fields["head_cursor"] > answer["next_cursor"] + 1
        await gateway.until(lambda: gateway.requests[-1] == f"smd+265598+{FIELDS}")


async def test_a_closed_capture_closes_its_socket(gateway: SocketGateway) -> None:
    async with running(gateway.url) as run:
        await gateway.subscribed()
        await run.stop()
        await gateway.until(lambda: "closed" in gateway.journal)
