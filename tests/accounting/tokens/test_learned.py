from __future__ import annotations

import random
from statistics import fmean

import pytest

from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.accounting.tokens.learned import Calibration
from switchgear.messages import Image, Message, Native, Text, Tool
from switchgear.request import ChatRequest

WORDS = ["budget", "ledger", "the", "of", "reservation", "token", "a", "provider", "settles", "and"]
MODEL = "some-model"


def said(draw: random.Random, words: int) -> ChatRequest:
    text = " ".join(draw.choices(WORDS, k=words))
    return ChatRequest(messages=(Message("system", "Be brief."), Message("user", text)))


def synthetic(request: ChatRequest) -> int:
    """A tokenizer that cuts finer than the guess expects: 2.3 characters a token, 11 a message."""
    return sum(11 + round(len(message.text) / 2.3) for message in request.messages)


def error_of(counter: TokenCounter, draw: random.Random) -> float:
    """The mean error of the guesses for a hundred prompts of very different lengths."""
    requests = [said(draw, draw.randrange(30, 1500)) for _ in range(100)]
    return fmean(
        abs(counter.estimate(each, MODEL).tokens - synthetic(each)) / synthetic(each)
        for each in requests
    )


@pytest.mark.parametrize("seed", range(5))
def test_settled_calls_bring_the_error_below_five_percent(seed: int) -> None:
    draw = random.Random(seed)
    counter = TokenCounter()
    assert error_of(counter, draw) > 0.3, "otherwise there is nothing to learn"
    for _ in range(20):
        request = said(draw, draw.randrange(30, 1500))
        counter.learn(MODEL, request, synthetic(request))
    assert error_of(counter, draw) < 0.05
    assert counter.estimate(said(draw, 100), MODEL).method == "characters, calibrated on 20 calls"


def test_a_third_of_senseless_counts_do_no_harm() -> None:
    draw = random.Random(1)
    counter = TokenCounter()
    for number in range(60):
        request = said(draw, draw.randrange(30, 1500))
        tokens = synthetic(request)
        counter.learn(MODEL, request, tokens * 4 if number % 3 == 0 else tokens)
    assert error_of(counter, draw) < 0.05


@pytest.mark.parametrize("counted", [-5, 0, 1, 10_000_000])
def test_what_no_tokenizer_explains_is_not_learned(counted: int) -> None:
    draw = random.Random(2)
    counter = TokenCounter()
    for _ in range(50):
        counter.learn(MODEL, said(draw, 300), counted)
    assert counter.estimate(said(draw, 300), MODEL).method == "characters"


def test_what_is_not_text_teaches_nothing() -> None:
    counter = TokenCounter()
    search = Tool("web_search", native=Native("anthropic", {"type": "web_search_20250305"}))
    picture = Message("user", (Text("word " * 100), Image(url="https://example.org/a.png")))
    long = Message("user", "word " * 50_000)
    for request in (
        ChatRequest(messages=(picture,)),
        ChatRequest(messages=(Message("user", "word " * 100),), tools=(search,)),
        ChatRequest(messages=(long,)),
        ChatRequest(messages=(Message("user", "hi"),)),
    ):
        for _ in range(50):
            counter.learn(MODEL, request, 300)
    assert counter.estimate(ChatRequest(messages=(long,)), MODEL).method == "characters"


def test_few_calls_correct_nothing_yet() -> None:
    calibration = Calibration()
    for _ in range(4):
        calibration.learn(MODEL, 100, 150)
    assert calibration.factor(MODEL) is None
    calibration.learn(MODEL, 100, 150)
    factor = calibration.factor(MODEL)
    assert factor is not None
    assert (factor.value, factor.calls) == (1.5, 5)


def test_a_tokenizer_that_changed_is_followed() -> None:
    calibration = Calibration()
    for ratio in (100, 200):
        for _ in range(40):
            calibration.learn(MODEL, 100, ratio)
    factor = calibration.factor(MODEL)
    assert factor is not None
    assert factor.value == 2.0


def test_most_calls_are_let_pass_once_a_model_is_known() -> None:
    calibration = Calibration()
    assert all(calibration.wants(MODEL) for _ in range(31))
    assert sum(calibration.wants(MODEL) for _ in range(6400)) == 100


def test_only_so_many_models_are_remembered_and_the_busy_ones_stay() -> None:
    calibration = Calibration()
    for number in range(1000):
        for _ in range(5):
            calibration.learn(f"model-{number}", 100, 150)
        calibration.learn("busy", 100, 120)
    known = [number for number in range(1000) if calibration.factor(f"model-{number}")]
    assert known == list(range(1000 - 255, 1000))
    assert calibration.factor("busy") is not None


def test_each_model_learns_for_itself_and_answers_are_guessed_by_it_too() -> None:
    draw = random.Random(3)
    counter = TokenCounter()
    text = " ".join(draw.choices(WORDS, k=500))
    before = counter.estimate_text(text, MODEL)
    for _ in range(10):
        request = said(draw, 300)
        counter.learn(MODEL, request, synthetic(request))
    assert counter.estimate_text(text, MODEL) > 1.5 * before
    assert counter.estimate_text(text, "another") == before
