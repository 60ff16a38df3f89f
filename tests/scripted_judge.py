"""A judge whose verdicts follow from the texts: it answers ragas' prompts as the scripted server's language model."""

import json


def given(prompt):
    """The input that stands at the end of one of ragas' prompts."""
    return json.loads(prompt[prompt.rindex("\ninput: ") + len("\ninput: ") : prompt.rindex("\nOutput: ")])


def sentences(text):
    return [part.strip() for part in text.replace("\n", ". ").split(". ") if part.strip(" .")]


def kind(prompt):
    """What a prompt asks for."""
    for name, words in (
        ("statements", "Break down each sentence"),
        ("claims", "Decompose and break down"),
        ("verdicts", "judge the faithfulness of a series"),
        ("question", "Generate a question for the given answer"),
        ("useful", "verify if the context was useful"),
        ("attributed", "can be attributed to the given context"),
    ):
        if words in prompt:
            return name
    raise AssertionError(f"the judge does not know this prompt: {prompt[:200]}")


def verdict(messages):
    """Replies: a sentence is a statement, supported where the other text holds it; a question repeats the answer."""
    prompt = messages[-1][1]
    asked, text = kind(prompt), given(prompt)
    if asked == "statements":
        reply = {"statements": sentences(text["answer"])}
    elif asked == "claims":
        reply = {"claims": sentences(text["response"])}
    elif asked == "verdicts":
        held = [(statement, statement.strip(".") in text["context"]) for statement in text["statements"]]
        reply = {"statements": [{"statement": one, "reason": "", "verdict": int(is_in)} for one, is_in in held]}
    elif asked == "question":
        reply = {"question": f"{text['response']}?", "noncommittal": 0}
    elif asked == "useful":
        reply = {"reason": "", "verdict": int(text["answer"] in text["context"])}
    else:
        held = [(one, one.strip(".") in text["context"]) for one in sentences(text["answer"])]
        reply = {"classifications": [{"statement": one, "reason": "", "attributed": int(is_in)} for one, is_in in held]}
    return json.dumps(reply)
