// What this worker can do: arguments in, a JSON value out.
import { setTimeout as pause } from "node:timers/promises";

/** Trying again cannot help. */
export class Final extends Error {}

export type Handler = (given: any, signal: AbortSignal) => Promise<unknown>;

export const handlers: Record<string, Handler> = {
  "ts.sum": async (given) => {
    const numbers: unknown = given?.numbers;
    if (!Array.isArray(numbers) || !numbers.every((n) => typeof n === "number")) {
      throw new Final("numbers: a list of numbers is wanted");
    }
    return { sum: numbers.reduce((total, n) => total + n, 0) };
  },
  "ts.wait": async (given, signal) => {
    await pause(Number(given?.seconds ?? 0) * 1000, undefined, { signal });
    return { waited: given.seconds };
  },
};

/** A google.protobuf.Value as proto-loader reads it, as plain JSON. */
export function plain(value: any): any {
  switch (value?.kind) {
    case "numberValue": return value.numberValue;
    case "stringValue": return value.stringValue;
    case "boolValue": return value.boolValue;
    case "listValue": return (value.listValue.values ?? []).map(plain);
    case "structValue": return Object.fromEntries(
      Object.entries(value.structValue.fields ?? {}).map(([name, field]) => [name, plain(field)]));
    default: return null;
  }
}
