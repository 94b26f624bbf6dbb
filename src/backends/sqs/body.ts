/** The limits of a message's body on SQS. */
import { argumentError, MessageRefusedError } from '../../errors/errors.js'

/** The most bytes of a message, and of a whole batch. Source: SQS quotas, 1 MiB since August 2025. */
export const maxBytes = 1_048_576

/** Characters that SQS doesn't store: all but those of XML 1.0, so lone surrogates too. Source: SendMessage. */
const refusedCharacter = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u

/** The reason for which SQS would refuse a message; `undefined` where it wouldn't. `bytes`: of the body and its attributes. */
export function refusalOf(body: string, bytes: number, id: string): MessageRefusedError | undefined {
  const cause = wrongIn(body, bytes, id)
  return cause && new MessageRefusedError(cause.message, { id, cause })
}

function wrongIn(body: string, bytes: number, id: string): Error | undefined {
  const name = `message ${id}`
  if (body === '') return argumentError(name, 'text of at least one character, as SQS stores no empty messages', body)
  if (bytes > maxBytes) {
    return argumentError(name, `at most ${maxBytes} bytes of UTF-8, the limit of SQS`, `${bytes} bytes`)
  }
  const refused = refusedCharacter.exec(body)
  if (refused === null) return undefined
  const code = (body.codePointAt(refused.index) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  return argumentError(
    name,
    `text of XML 1.0 characters, all that SQS stores (write others as \\uXXXX in the JSON)`,
    `U+${code} at ${refused.index}`,
  )
}
