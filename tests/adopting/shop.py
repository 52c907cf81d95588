"""A support desk as many shops have it: one endpoint, one prompt, the OpenAI client.  Roadworthy is news to it."""

from __future__ import annotations

from fastapi import FastAPI
from openai import OpenAI
from pydantic import BaseModel

app = FastAPI()
client = OpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY


class Question(BaseModel):
    customer: str
    plan: str
    text: str


@app.post("/ask")
def ask(question: Question) -> dict[str, str]:
    prompt = f"You answer for Bike & Co.\nThe customer is {question.customer}, on the {question.plan} plan. Be brief."
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        temperature=0.2,
        messages=[
            {"role": "system", "content": prompt},
            {"role": "user", "content": question.text},
        ],
    )
    return {"reply": answer.choices[0].message.content or ""}
