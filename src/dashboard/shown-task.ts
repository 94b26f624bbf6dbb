/** A task as it is sent to pages: cut where it is long, and fit to be shown. */
import type { Failure, ListedTask } from '../index.js'
import { printable, printableJson, printableLines } from '../text/printable.js'

/** A row of a list. Characters. */
const shortLength = 300
/** The whole task: longer payloads are seen by `ptq show`. Characters. */
const longLength = 20_000
const shownFailures = 20

/** A row of a list of tasks. */
export function shownRow({ id, name, state, availableInSeconds, payloadText }: ListedTask) {
  return {
    id,
    name: cut(printable(name), shortLength),
    state,
    availableInSeconds,
    payload: cut(printableJson(payloadText), shortLength),
  }
}

/** One task with its payload and failures, the newest first. */
export function shownTask(task: ListedTask, state: string) {
  const { id, name, availableInSeconds, payloadText, failures } = task
  return {
    id,
    name: cut(printable(name), shortLength),
    state,
    availableInSeconds,
    payload: cut(printableJson(payloadText), longLength),
    failures: failures.slice(-shownFailures).reverse().map(shownFailure),
  }
}

function shownFailure({ attempt, reason, host, pid, failedAtMs, durationSeconds, stack }: Failure) {
  return {
    attempt,
    reason: printable(reason),
    host: cut(printable(host), shortLength),
    pid,
    failedAtMs,
    durationSeconds,
    stack: stack === undefined ? undefined : cut(printableLines(stack), longLength),
  }
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}… (${text.length - length} more characters)`
}
