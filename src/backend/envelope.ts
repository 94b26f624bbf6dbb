/**
 * The envelope: the text that a backend stores for a task, the same that Python writes.
 *
 * ```text
 * {"payload": <payload>, "queueName": "<queue>", "id": "<id>"}
 * ```
 *
 * The payload's text is inserted and extracted unchanged, so a task that is copied from queue to queue keeps every
 * digit, also if its class is unknown here. Python's SQS bodies have no id. Where traces are made, `"traceparent"` of the
 * span that sent it follows the payload, a place where each reader of this form so far, Python's too, takes it for a further key.
 */

import { parseJson, stringifyJson } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'
import type { Failure } from './messages.js'
import { failuresFrom } from './recorded-failures.js'

/** The content of an envelope. */
export interface OpenedMessage {
  readonly payload: JsonValue
  /** The payload's JSON text: unchanged if the envelope has the usual form. */
  readonly payloadText: string
  /** The history that came with the message, oldest first: of a dead letter, or of a task that left a pack; otherwise empty. */
  readonly failures: readonly Failure[]
  /** Attempts under an earlier message. */
  readonly earlier: EarlierAttempts
}

/** Attempts of a task under another message, which its backend doesn't know of: a pack that it was in. */
export interface EarlierAttempts {
  /** All of them, those whose worker died included. */
  readonly attempts: number
  /** Those whose worker died. */
  readonly deaths: number
}

/** Of most tasks. */
export const noAttempts: EarlierAttempts = Object.freeze({ attempts: 0, deaths: 0 })

const head = '{"payload": '
const noFailures: readonly Failure[] = []
const quote = '"'.charCodeAt(0)
const tailStart = ', "queueName": '
/** The end of nearly every envelope: it has an id and no failures. Testing it costs a third of parsing it. */
const commonTail = /^, "queueName": "(?:[^"\\]|\\.)*", "id": "[^"\\]*"\}$/s
/** Behind the payload; nothing in a JSON string can look like it. */
const tracePattern = /, "traceparent": "(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})"$/
const traceLength = `, "traceparent": "00-${'0'.repeat(32)}-${'0'.repeat(16)}-00"`.length
const tailPattern =
  /^, "queueName": "(?:[^"\\]|\\.)*"(?:, "id": "(?<id>(?:[^"\\]|\\.)*)")?(?:, "attempts": (?<attempts>\d+), "deaths": (?<deaths>\d+))?(?:, "failures": (?<failures>\[.*\]))?\}\s*$/s

/** The parts of an envelope besides the payload; absent if there are none. */
export interface EnvelopeHistory {
  /** A dead letter's failures, or those under an earlier message. */
  readonly failures?: readonly Failure[] | undefined
  readonly earlier?: EarlierAttempts | undefined
  /** Of the span that sent the message, in the form of W3C's Trace Context. */
  readonly traceparent?: string | undefined
}

/** Puts payloads into envelopes for one queue. */
export type MessageWriter = (payloadText: string, id: string, history?: EnvelopeHistory) => string

/**
 * Returns the function that puts payloads into envelopes for one queue.
 *
 * @param options.ascii write other characters as `\uXXXX`, like Python: the same JSON, for backends that refuse some.
 * Default false
 */
export function messageWriter(queueName: string, options: { ascii?: boolean } = {}): MessageWriter {
  const middle = `${tailStart}${JSON.stringify(queueName)}, "id": "`
  const body: MessageWriter = (payloadText, id, history) =>
    history === undefined
      ? `${head}${payloadText}${middle}${id}"}`
      : `${head}${payloadText}${traceText(history)}${middle}${id}"${historyText(history)}}`
  return options.ascii ? (...message) => asciiJson(body(...message)) : body
}

function traceText({ traceparent }: EnvelopeHistory): string {
  return traceparent === undefined ? '' : `, "traceparent": "${traceparent}"`
}

function historyText({ failures, earlier }: EnvelopeHistory): string {
  const attempts =
    earlier === undefined || earlier.attempts === 0
      ? ''
      : `, "attempts": ${earlier.attempts}, "deaths": ${earlier.deaths}`
  return `${attempts}${failures === undefined ? '' : `, "failures": ${JSON.stringify(failures)}`}`
}

/** JSON has characters beyond ASCII inside strings only, where an escape means the same. */
export function asciiJson(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Takes the payload out of an envelope.
 *
 * @throws Error where the text is not JSON, or an envelope without a payload
 */
export function openMessage(body: string): OpenedMessage {
  return openUsualForm(body) ?? openAnyForm(body)
}

/** The id in an envelope of the usual form; `undefined` without one, as in Python's SQS bodies. */
export function messageId(body: string): string | undefined {
  const end = body.lastIndexOf(tailStart)
  return end < 0 ? undefined : tailPattern.exec(body.slice(end))?.groups?.id
}

/** The context of the span that sent a message, in the form of W3C's Trace Context; `undefined` where no trace was made. */
export function messageTraceparent(body: string): string | undefined {
  const end = body.lastIndexOf(tailStart)
  return end < 0 ? undefined : traceAt(body, end)?.[1]
}

function traceAt(body: string, end: number): RegExpExecArray | null {
  return tracePattern.exec(body.slice(Math.max(0, end - traceLength), end))
}

/** The envelope with an id: a usual one without, Python's on SQS, gets `id` at its end; any other is as it was. */
export function withMessageId(body: string, id: string): string {
  const end = body.lastIndexOf(tailStart)
  const tail = end < 0 ? null : tailPattern.exec(body.slice(end))
  if (tail === null || tail.groups?.id !== undefined || tail.groups?.failures !== undefined) return body
  return `${body.trimEnd().slice(0, -1)}, "id": ${JSON.stringify(id)}}`
}

/**
 * If the text between a known beginning and a known end is one JSON value, then it is the payload: there is no other
 * way to read the text. Half the work of parsing the whole, and it keeps the payload's own text.
 */
function openUsualForm(body: string): OpenedMessage | undefined {
  const end = body.lastIndexOf(tailStart)
  if (end < head.length || !body.startsWith(head)) return undefined
  const tail = body.slice(end)
  const taken = commonTail.test(tail) ? undefined : tailPattern.exec(tail)
  if (taken === null) return undefined
  const failures = taken?.groups?.failures
  // A task's payload ends with a bracket.
  const isTraced = body.charCodeAt(end - 1) === quote && traceAt(body, end) !== null
  const payloadText = body.slice(head.length, isTraced ? end - traceLength : end)
  try {
    return {
      payload: parseJson(payloadText),
      payloadText,
      failures: failures === undefined ? noFailures : failuresFrom(JSON.parse(failures)),
      earlier: taken === undefined ? noAttempts : earlierFrom(taken.groups?.attempts, taken.groups?.deaths),
    }
  } catch {
    // The envelope has further keys before `queueName`, or is broken: parsing the whole decides, and reports the
    // position.
    return undefined
  }
}

function openAnyForm(body: string): OpenedMessage {
  const envelope = parseJson(body)
  if (envelope === null || typeof envelope !== 'object' || Array.isArray(envelope)) {
    throw new Error('Expected an envelope, an object with the key "payload", got JSON of another kind')
  }
  const payload = Object.hasOwn(envelope, 'payload') ? envelope.payload : undefined
  if (payload === undefined) {
    const keys = Object.keys(envelope).slice(0, 8).join(', ')
    throw new Error(`Expected an envelope, an object with the key "payload", got the keys: ${keys || 'none'}`)
  }
  const earlier = earlierFrom(envelope.attempts, envelope.deaths)
  return { payload, payloadText: stringifyJson(payload), failures: failuresFrom(envelope.failures), earlier }
}

/** Another program may have written the keys with another meaning. */
function earlierFrom(attempts: unknown, deaths: unknown): EarlierAttempts {
  const [all, died] = [Number(attempts ?? 0), Number(deaths ?? 0)]
  return Number.isSafeInteger(all) && Number.isSafeInteger(died) && died >= 0 && all >= died
    ? { attempts: all, deaths: died }
    : noAttempts
}
