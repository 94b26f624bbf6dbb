/**
 * The history of a message: attempts and failures before it was stored again. SQS can't change a message, so one that is
 * released is stored again, with this in the message attribute `ptq`, and its receive count begins at 1. Python reads no attributes,
 * and runs such a message as any other.
 */
import type { MessageAttributeValue } from '@aws-sdk/client-sqs'
import { asciiJson } from '../../backend/envelope.js'
import type { Failure } from '../../backend/messages.js'
import { failuresFrom } from '../../backend/recorded-failures.js'

/** The attribute's name. */
const attributeName = 'ptq'

/** A message's attributes, other senders' included. */
export type Attributes = Readonly<Record<string, MessageAttributeValue>>

/** Limits of the newest failures that are kept, in number and in characters. More would cost more requests. */
const maxFailures = 20
const maxFailureText = 16_384

export interface MessageHistory {
  /** The number of attempts that recorded a failure. */
  readonly failed: number
  /** The newest of these failures, oldest first. */
  readonly failures: readonly Failure[]
  /** The number of earlier holders that died. */
  readonly deaths: number
  /** The number of these after it was marked to run alone. */
  readonly deathsAlone: number
  /** True if it is run only by a worker that holds nothing else. */
  readonly alone: boolean
  /**
   * True if it failed so often that it is left to the queue's own redrive policy: from then on SQS counts its receives.
   */
  readonly isLeftToSqs: boolean
  /** FIFO queues have no delay of a message: a holder that gets it before that time puts it off. Milliseconds since 1970. */
  readonly notBeforeMs?: number
}

const nothing: MessageHistory = { failed: 0, failures: [], deaths: 0, deathsAlone: 0, alone: false, isLeftToSqs: false }

/** Reads the history of a message; another sender may have written the attribute, in any form. */
export function readHistory(attributes: Attributes | undefined): MessageHistory {
  const text = attributes?.[attributeName]?.StringValue
  if (text === undefined) return nothing
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return nothing
    const { failed, failures, deaths, deathsAlone, alone, isLeftToSqs, notBeforeMs } = value as Record<
      keyof MessageHistory,
      unknown
    >
    return {
      failed: countOf(failed),
      failures: failuresFrom(failures),
      deaths: countOf(deaths),
      deathsAlone: countOf(deathsAlone),
      alone: alone === true,
      isLeftToSqs: isLeftToSqs === true,
      ...(typeof notBeforeMs === 'number' && { notBeforeMs }),
    }
  } catch {
    // Not ours: not JSON.
    return nothing
  }
}

/**
 * The attributes of a message that is stored again: those of other senders unchanged, and ours.
 *
 * @param options.failures false leaves out the texts of the failures, and keeps their number
 */
export function withHistory(
  attributes: Attributes | undefined,
  history: MessageHistory,
  { failures }: { failures: boolean },
): Attributes {
  const { [attributeName]: _old, ...others } = attributes ?? {}
  const { failed, deaths, deathsAlone, alone, isLeftToSqs, notBeforeMs } = history
  const kept = failures ? newest(history.failures) : []
  if (failed === 0 && deaths === 0 && deathsAlone === 0 && !alone && notBeforeMs === undefined) return others
  const value = {
    ...(failed > 0 && { failed }),
    ...(kept.length > 0 && { failures: kept }),
    ...(deaths > 0 && { deaths }),
    ...(deathsAlone > 0 && { deathsAlone }),
    ...(alone && { alone }),
    ...(isLeftToSqs && { isLeftToSqs }),
    ...(notBeforeMs !== undefined && { notBeforeMs }),
  }
  return { ...others, [attributeName]: { DataType: 'String', StringValue: asciiJson(JSON.stringify(value)) } }
}

/** The bytes that attributes add to a message. Source: SQS quotas, "message attributes". */
export function bytesOfAttributes(attributes: Attributes): number {
  let bytes = 0
  for (const [name, { DataType = '', StringValue = '', BinaryValue }] of Object.entries(attributes)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(DataType) + Buffer.byteLength(StringValue)
    bytes += BinaryValue?.byteLength ?? 0
  }
  return bytes
}

function newest(failures: readonly Failure[]): readonly Failure[] {
  const kept: Failure[] = []
  let length = 0
  for (const failure of failures.slice(-maxFailures).reverse()) {
    length += JSON.stringify(failure).length
    if (length > maxFailureText) break
    kept.unshift(failure)
  }
  return kept
}

function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}
