/** Sends printed text to the main thread by the port of the outcomes, so that it comes before them. */
import process from 'node:process'
import type { Writable } from 'node:stream'
import type { ThreadLink } from './link.js'

type Name = 'stdout' | 'stderr'
type Written = Parameters<NonNullable<Writable['_writev']>>[0][number]

const streams = { stdout: process.stdout, stderr: process.stderr }

/**
 * Replaces the write functions of this thread's stdout and stderr; called once per thread. Node's own hold back all but
 * the first line until the main thread has taken it: the output of a task that is stopped in a synchronous loop would
 * be lost.
 */
export function sendOutput(link: ThreadLink): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    const writable: Writable = streams[stream]
    writable._write = (chunk: string | Uint8Array, encoding, callback) => {
      send(link, stream, chunk, encoding)
      callback()
    }
    writable._writev = (chunks, callback) => {
      for (const { chunk, encoding } of chunks as Written[]) send(link, stream, chunk, encoding)
      callback()
    }
  }
}

/** Writes what a task left in a stream that it corked and did not uncork. */
export function uncorkOutput(): void {
  const { stdout, stderr } = streams
  while (stdout.writableCorked > 0) stdout.uncork()
  while (stderr.writableCorked > 0) stderr.uncork()
}

function send(link: ThreadLink, stream: Name, chunk: string | Uint8Array, encoding: BufferEncoding): void {
  // A Buffer may be part of a shared pool, which would be cloned as a whole.
  const text = typeof chunk === 'string' ? chunk : new Uint8Array(chunk)
  link.send({ type: 'printed', stream, text, encoding }, chunk.length)
}
