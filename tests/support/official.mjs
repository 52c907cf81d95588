// The checks of official.py with the official clients for Node: told where and what to try, it prints what it saw.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { modules, tasks } = JSON.parse(readFileSync(0, "utf8"));
const load = async (name) => import(pathToFileURL(createRequire(modules).resolve(name)));
const PARAMETERS = { type: "object", properties: { order: { type: "integer" } }, required: ["order"] };
const TOPIC = {
  type: "object", properties: { topic: { type: "string" } }, required: ["topic"], additionalProperties: false,
};
const ask = (text) => [{ role: "user", content: text }];

// One way of asking each: whole → [text, roadworthy, request id]; stream: yields texts, sets `seen.told`.
const SURFACES = {
  async chat({ url, key, workflow }) {
    const { default: OpenAI } = await load("openai");
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
    const create = (body, options) => client.chat.completions.create(body, options);
    const tool = { type: "function", function: { name: "look_up", parameters: PARAMETERS } };
    return {
      create: (text, options) => create({ model: workflow, messages: ask(text) }, options),
      async whole(model, text) {
        const answer = await create({ model, messages: ask(text) });
        const { content, refusal } = answer.choices[0].message;
        return [content ?? refusal, answer.roadworthy, answer._request_id];
      },
      async *stream(model, text, seen, options) {
        for await (const chunk of await create({ model, messages: ask(text), stream: true }, options)) {
          seen.told = chunk.roadworthy ?? seen.told;
          if (chunk.choices[0]?.delta.content) yield chunk.choices[0].delta.content;
        }
      },
      async tools() {
        const first = await create({ model: workflow, messages: ask("order 7?"), tools: [tool] });
        const [{ id, function: called }] = first.choices[0].message.tool_calls;
        const result = { role: "tool", tool_call_id: id, content: "on its way" };
        const messages = [...ask("order 7?"), first.choices[0].message, result];
        const second = await create({ model: workflow, messages, tools: [tool] });
        return [called.name, JSON.parse(called.arguments), second.choices[0].message.content];
      },
      async structured() {
        const json_schema = { name: "topic", strict: true, schema: TOPIC };
        const response_format = { type: "json_schema", json_schema };
        const parsed = await client.chat.completions.parse({ model: workflow, messages: ask("bill"), response_format });
        return parsed.choices[0].message.parsed;
      },
    };
  },
  async responses({ url, key, workflow }) {
    const { default: OpenAI } = await load("openai");
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
    const create = (body, options) => client.responses.create(body, options);
    const tool = { type: "function", name: "look_up", parameters: PARAMETERS, strict: false };
    return {
      create: (text, options) => create({ model: workflow, input: text }, options),
      async whole(model, text) {
        const answer = await create({ model, input: text });
        return [answer.output_text, answer.roadworthy, answer._request_id];
      },
      async *stream(model, text, seen, options) {
        for await (const event of await create({ model, input: text, stream: true }, options)) {
          seen.told = event.response?.roadworthy ?? seen.told;
          if (event.type === "response.output_text.delta") yield event.delta;
        }
      },
      async tools() {
        const first = await create({ model: workflow, input: "order 7?", tools: [tool] });
        const called = first.output.find((item) => item.type === "function_call");
        const result = { type: "function_call_output", call_id: called.call_id, output: "on its way" };
        const input = [...ask("order 7?"), ...first.output, result];
        const second = await create({ model: workflow, input, tools: [tool] });
        return [called.name, JSON.parse(called.arguments), second.output_text];
      },
      async structured() {
        const format = { type: "json_schema", name: "topic", strict: true, schema: TOPIC };
        const parsed = await client.responses.parse({ model: workflow, input: "bill", text: { format } });
        return parsed.output_parsed;
      },
    };
  },
  async messages({ url, key, workflow }) {
    const { default: Anthropic } = await load("@anthropic-ai/sdk");
    const client = new Anthropic({ baseURL: url, apiKey: key });
    const create = (body, options) => client.messages.create({ max_tokens: 100, ...body }, options);
    const tool = { name: "look_up", input_schema: PARAMETERS };
    const text_of = (answer) => answer.content.map((block) => block.text ?? "").join("");
    return {
      create: (text, options) => create({ model: workflow, messages: ask(text) }, options),
      async whole(model, text) {
        const answer = await create({ model, messages: ask(text) });
        return [text_of(answer), answer.roadworthy, answer._request_id];
      },
      async *stream(model, text, seen, options) {
        for await (const event of await create({ model, messages: ask(text), stream: true }, options)) {
          seen.told = event.roadworthy ?? seen.told;
          if (event.delta?.type === "text_delta") yield event.delta.text;
        }
      },
      async tools() {
        const first = await create({ model: workflow, messages: ask("order 7?"), tools: [tool] });
        const called = first.content.find((block) => block.type === "tool_use");
        const result = { type: "tool_result", tool_use_id: called.id, content: "on its way" };
        const said = { role: "assistant", content: first.content };
        const messages = [...ask("order 7?"), said, { role: "user", content: [result] }];
        const second = await create({ model: workflow, messages, tools: [tool] });
        return [called.name, called.input, text_of(second)];
      },
      async structured() {
        const format = { type: "json_schema", schema: TOPIC };
        const answer = await create({ model: workflow, messages: ask("bill"), output_config: { format } });
        return JSON.parse(text_of(answer));
      },
    };
  },
};

const code = (error) => error.code ?? error.error?.error?.code ?? error.error?.code ?? null;
const failed = (error) => ({ error: error.constructor.name, status: error.status ?? null, code: code(error) });
const text_of = async (stream) => {
  let [text, pieces] = ["", 0];
  for await (const piece of stream) [text, pieces] = [text + piece, pieces + 1];
  return [text, pieces];
};

const checks = (does, { workflow, tries, parallel }) => ({
  async chat() {
    const [text, told, id] = await does.whole(workflow, "hello");
    return { text: text.length > 0, outcome: told.outcome, named: id === told.inference };
  },
  async stream() {
    const seen = {};
    const [text, pieces] = await text_of(does.stream(workflow, "pieces", seen));
    return { text: text.length > 0, pieces: pieces > 3, outcome: seen.told.outcome };
  },
  async tools() {
    const [name, given, after] = await does.tools();
    return { name, order: Number.isInteger(given.order), text: after.length > 0 };
  },
  async structured() {
    return { topic: typeof (await does.structured()).topic };
  },
  async outcomes() {
    const made = {};
    for (const [name, [model, text]] of Object.entries(tries)) {
      const whole = does.whole(model, text).then(([said, told]) => ({ outcome: told.outcome, text: said }), failed);
      const seen = {};
      const asked = `${text} again`;
      const stream = text_of(does.stream(model, asked, seen)).then(
        ([said]) => ({ outcome: seen.told.outcome, text: said }), failed);
      made[name] = [await whole, await stream];
    }
    return made;
  },
  async broken() {
    return text_of(does.stream(workflow, "x [[fault cut]]", {})).then(() => "whole", failed);
  },
  async cancelled() {
    const controller = new AbortController();
    let pieces = 0;
    try {
      const options = { signal: controller.signal };
      for await (const _ of does.stream(workflow, "leave [[fault stall seconds=20s]]", {}, options)) {
        pieces += 1;
        controller.abort();
      }
    } catch (error) {
      if (error.name !== "AbortError" && error.constructor.name !== "APIUserAbortError") throw error;
    }
    return { pieces: pieces > 0 };
  },
  async late() {
    const options = { timeout: 300, maxRetries: 0 };
    const asked = "late [[fault stall at=before_first_byte seconds=20s]]";
    return does.create(asked, options).then(() => "answered", failed);
  },
  async parallel() {
    const all = Array.from({ length: parallel }, async (_, number) => {
      const seen = {};
      const [text] = await text_of(does.stream(workflow, `call ${number}`, seen));
      return text.length > 0 && seen.told.outcome === "answered";
    });
    return (await Promise.all(all)).filter(Boolean).length;
  },
});

const saw = [];
for (const task of tasks) {
  const made = {};
  for (const [name, check] of Object.entries(checks(await SURFACES[task.surface](task), task))) made[name] = await check();
  saw.push(made);
}
console.log(JSON.stringify(saw));
