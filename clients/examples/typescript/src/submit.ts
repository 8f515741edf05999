// Submits a job of two tasks, watches it to its end, and prints what its tasks wrote.
import { status, type ClientReadableStream, type ServiceError } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { metadata, service } from "./postq.js";

interface Task { name: string; state: string; results: string }
interface Job { state: string; reason: string; finished_at: object | null; tasks: Record<string, Task> }
interface Change { job: Job; tasks: Task[]; revision: string; complete: boolean }

const jobs = service("JobService");
const giveUpAt = Date.now() + 60_000;

function call<Answer>(method: string, request: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, answer: Answer) => (error ? reject(error) : resolve(answer));
    jobs[method](request, metadata(), { deadline: Date.now() + 10_000 }, done);
  });
}

/** Asks again while nobody answers. */
async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const lasts = (error as ServiceError).code === status.UNAVAILABLE;
      if (!lasts || Date.now() > giveUpAt) throw error;
      await pause(500);
    }
  }
}

/** A UUID of version 7: milliseconds, then chance. */
function newId(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

// The id is ours, so that a submit whose answer was lost can be sent again without a second job.
const request = {
  id: newId(),
  job: {
    name: "from-typescript",
    tasks: {
      greet: { command: "echo hello from typescript | tee greeting" },
      shout: { depends: ["greet"], command: "tr a-z A-Z < greeting" },
    },
  },
};
const { id } = await patiently(() => call<{ id: string }>("SubmitJob", request));
console.log("submitted", id);

// Every change until the job has ended; a stream that breaks goes on where it was.
let revision = "0";
async function watch(): Promise<boolean> {
  const question = { id, after_revision: revision };
  const changes: ClientReadableStream<Change> = jobs.WatchJob(question, metadata(), { deadline: giveUpAt });
  for await (const change of changes as AsyncIterable<Change>) {
    for (const task of change.tasks) console.log("task", task.name, task.state);
    if (!change.complete) continue;
    revision = change.revision;
    console.log("job", change.job.state);
    if (change.job.finished_at) return true;
  }
  return false;
}
while (!(await patiently(watch))) await pause(500);

// The job with its tasks. Of a job too large for one answer (tasks_truncated) ListTasks tells all.
const { job } = await patiently(() => call<{ job: Job }>("GetJob", { id }));
for (const name of ["greet", "shout"]) process.stdout.write(`${name} wrote: ${job.tasks[name]?.results}`);
jobs.close();
if (job.state !== "SUCCEEDED") {
  console.error(`the job ${job.state}: ${job.reason}`);
  process.exitCode = 1;
}
