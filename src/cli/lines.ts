/** Lines of UTF-8, split at `\n` alone: JSON may hold other line separators (U+2028) as they are. Or values that end with NUL. */
import type { Readable } from 'node:stream'
import { UsageError } from './usage-error.js'

const lineFeed = 0x0a

/**
 * Yields the lines of a file or stdin, without their ends. An abort of `signal` ends them early.
 *
 * @param name what errors call the input
 * @param options.raw a carriage return at the end belongs to the line
 * @param options.nul the lines end with a NUL character instead
 * @throws UsageError where it can't be read, or a line is not UTF-8
 */
export async function* linesOf(
  input: Readable,
  name: string,
  signal: AbortSignal | undefined,
  { raw = false, nul = false }: { raw?: boolean; nul?: boolean } = {},
): AsyncGenerator<string, void, undefined> {
  const lineEnd = nul ? 0 : lineFeed
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let number = 0
  const decode = (line: Buffer): string => {
    number++
    try {
      const text = decoder.decode(line)
      return raw ? text : text.replace(/\r$/, '')
    } catch (cause) {
      throw new UsageError(`Expected ${name} to be UTF-8, line ${number} is not: convert it, for example with iconv`, {
        cause,
      })
    }
  }
  const end = () => input.destroy()
  signal?.addEventListener('abort', end)
  const parts: Buffer[] = []
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      let start = 0
      for (let at = chunk.indexOf(lineEnd); at >= 0; at = chunk.indexOf(lineEnd, start)) {
        parts.push(chunk.subarray(start, at))
        yield decode(parts.length === 1 ? (parts[0] ?? chunk) : Buffer.concat(parts))
        parts.length = 0
        start = at + 1
        if (signal?.aborted) return
      }
      if (start < chunk.length) parts.push(chunk.subarray(start))
    }
    if (parts.length > 0) yield decode(Buffer.concat(parts))
  } catch (cause) {
    if (signal?.aborted) return
    if (cause !== input.errored) throw cause
    throw new UsageError(`Expected a file that can be read: ${input.errored?.message}`, { cause })
  } finally {
    signal?.removeEventListener('abort', end)
    input.destroy()
  }
}
