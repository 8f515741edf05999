// A minimal worker: an agent without executors, whose handlers are functions of this process.
//
// It keeps nothing on disk, so each start of it is a new agent; what an earlier one was doing is
// declared lost, and given to somebody else.
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { Final, handlers, plain } from "./handlers.js";
import { metadata, service } from "./postq.js";

interface Held { attempt: string; job_id: string; task: number }
interface Duration { seconds: string; nanos: number }
interface Assignment extends Held {
  handler: string; arguments: object | null; input: object | null; timeout: Duration | null;
}
interface Report { of: Held; outcome: string; reason?: string; result?: Buffer; is_final?: boolean }
/** One that is held: it runs until `report` is set, then waits to be recorded. */
interface Attempt { of: Held; stop: AbortController; report?: Report }
type Stream = ClientDuplexStream<object, any>;

const SLOTS = 4;
/** How long what runs may go on once this worker is asked to leave, unless Drain tells. */
const PATIENCE_MS = 10_000;
const dispatch = service("DispatchService");
const who = { agent_id: randomUUID(), boot_id: randomUUID(), name: "ts-worker", host: hostname(), version: "1" };
const held = new Map<string, Attempt>();
/** The current stream: what was not said on an earlier one is said anew behind the next Hello. */
let stream: Stream | undefined;
let isLeaving = false;

function heldNow(): Held[] {
  return [...held.values()].map((attempt) => attempt.of);
}

function milliseconds(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

async function run(assignment: Assignment, stop: AbortController): Promise<Report> {
  const { attempt, job_id, task } = assignment;
  const of = { attempt, job_id, task };
  const handler = handlers[assignment.handler];
  if (!handler || assignment.input) {
    const reason = "this worker has no such handler, or no files for it";
    return { of, outcome: "FAILED", reason, is_final: true };
  }
  const { timeout } = assignment;
  const timer = timeout ? setTimeout(() => stop.abort("TIMED_OUT"), milliseconds(timeout)) : undefined;
  try {
    const value = await handler(plain(assignment.arguments), stop.signal);
    return { of, outcome: "SUCCEEDED", result: Buffer.from(JSON.stringify(value ?? null)) };
  } catch (error) {
    const reason = String(error);
    if (stop.signal.reason === "RELEASED") return { of, outcome: "RELEASED", reason: "the worker leaves" };
    if (stop.signal.reason === "TIMED_OUT") return { of, outcome: "TIMED_OUT", reason: "over its time" };
    if (stop.signal.aborted) return { of, outcome: "CANCELLED", reason: String(stop.signal.reason) };
    return { of, outcome: "FAILED", reason, is_final: error instanceof Final };
  } finally {
    clearTimeout(timer);
  }
}

async function begin(assignment: Assignment): Promise<void> {
  if (held.has(assignment.attempt)) return;
  console.log(`${assignment.handler}: attempt ${assignment.attempt}`);
  const { attempt: id, job_id, task } = assignment;
  const attempt: Attempt = { of: { attempt: id, job_id, task }, stop: new AbortController() };
  held.set(id, attempt);
  attempt.report = await run(assignment, attempt.stop);
  if (held.get(id) === attempt) stream?.write({ report: attempt.report }); // else it was abandoned
}

/** Ends the matter; what still runs is stopped, and its report dropped. */
function forget(id: string): void {
  const attempt = held.get(id);
  held.delete(id);
  attempt?.stop.abort("abandoned");
  if (isLeaving && held.size === 0) stream?.cancel();
}

/**
 * Takes nothing new (a new Hello says so), gives back what does not end in time, and ends once all that
 * it held is recorded.
 */
function leave(patience: number): void {
  if (isLeaving) return;
  isLeaving = true;
  setTimeout(() => held.forEach((attempt) => attempt.stop.abort("RELEASED")), patience).unref();
  stream?.cancel();
}

function hear(word: any): void {
  switch (word.message) {
    case "welcome": return console.log(`connected, session ${word.welcome.session}`);
    case "assignment": return void begin(word.assignment);
    case "cancel": return held.get(word.cancel.attempt)?.stop.abort(word.cancel.reason);
    case "abandon": return forget(word.abandon.attempt);
    case "recorded": return forget(word.recorded.attempt);
    case "drain":
      return leave(word.drain.timeout ? milliseconds(word.drain.timeout) : PATIENCE_MS);
    case "what_do_you_hold":
      stream?.write({ holding: { question: word.what_do_you_hold.question, held: heldNow() } });
  }
}

/** One session, from Hello until the stream has ended. Tells whether a coordinator answered. */
function session(): Promise<boolean> {
  return new Promise((resolve) => {
    let isWelcome = false;
    const current: Stream = dispatch.Connect(metadata());
    stream = current;
    current.on("data", (word) => {
      if (stream !== current) return; // of a stream that we have given up
      isWelcome = true;
      hear(word);
    });
    const end = (why: string) => {
      if (stream !== current) return;
      stream = undefined;
      console.log(`the stream ended: ${why}`);
      resolve(isWelcome);
    };
    current.on("error", (error) => end(error.message));
    current.on("end", () => end("the coordinator closed it"));
    const slots = isLeaving ? 0 : SLOTS;
    current.write({ hello: { ...who, slots, handlers: Object.keys(handlers), held: heldNow() } });
    for (const { report } of held.values()) if (report) current.write({ report });
  });
}

for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => leave(PATIENCE_MS));

let wait = 100;
while (!isLeaving || held.size > 0) {
  if (await session()) wait = 100;
  if (isLeaving) wait = 100;
  await pause(wait * (0.5 + Math.random() / 2));
  wait = Math.min(2 * wait, 2_000);
}
dispatch.close();
