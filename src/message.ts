/**
 * The envelope: the text that a backend stores for a task, the same that Python writes.
 *
 * ```text
 * {"payload": <payload>, "queueName": "<queue>", "id": "<id>"}
 * ```
 *
 * The payload's text is put in and taken out as it is, so a task that is copied from queue to queue keeps every digit,
 * also where nothing here knows its class. Python's SQS bodies have no id.
 */
import { type JsonValue, parseJson, stringifyJson } from './json.js'

/** What an envelope holds. */
export interface OpenedMessage {
  readonly payload: JsonValue
  /** The payload's JSON text: as it stood in the envelope where that has the usual form. */
  readonly payloadText: string
}

const head = '{"payload": '
const tailStart = ', "queueName": '
const tailPattern = /^, "queueName": "(?:[^"\\]|\\.)*"(?:, "id": "(?:[^"\\]|\\.)*")?\}\s*$/
/** The closing brace is the envelope's own: what ends a nested object is followed by another one. */
const idPattern = /, "id": "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"\}\s*$/

/**
 * Returns the function that puts payloads into envelopes for one queue.
 *
 * @param options.ascii write other characters as `\uXXXX`, as Python does: the same JSON, for engines that refuse some.
 *   Default false
 */
export function messageWriter(
  queueName: string,
  options: { ascii?: boolean } = {},
): (payloadText: string, id: string) => string {
  const middle = `${tailStart}${JSON.stringify(queueName)}, "id": "`
  const body = (payloadText: string, id: string) => `${head}${payloadText}${middle}${id}"}`
  return options.ascii ? (payloadText, id) => asciiJson(body(payloadText, id)) : body
}

/** JSON has characters beyond ASCII inside strings only, where an escape means the same. */
function asciiJson(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * The id at the end of an envelope, where writers of every language put it; `undefined` where there is none (Python on
 * SQS). For backends whose engine gives ids of its own.
 */
export function messageId(body: string): string | undefined {
  return idPattern.exec(body.slice(-64))?.[1]
}

/**
 * Takes the payload out of an envelope.
 *
 * @throws Error where the text is not JSON, or an envelope without a payload
 */
export function openMessage(body: string): OpenedMessage {
  return openUsualForm(body) ?? openAnyForm(body)
}

/**
 * If what stands between a known beginning and a known end is one JSON value, then it is the payload: the text cannot
 * be read in another way. Half the work of parsing the whole, and it keeps the payload's own text.
 */
function openUsualForm(body: string): OpenedMessage | undefined {
  const end = body.lastIndexOf(tailStart)
  if (end < head.length || !body.startsWith(head) || !tailPattern.test(body.slice(end))) return undefined
  const payloadText = body.slice(head.length, end)
  try {
    return { payload: parseJson(payloadText), payloadText }
  } catch {
    // The envelope has further keys before `queueName`, or is broken: reading the whole tells, and says where.
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
  return { payload, payloadText: stringifyJson(payload) }
}
