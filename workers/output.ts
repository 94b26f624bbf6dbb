/** What is printed in a thread goes to the main thread by the port of the outcomes, so that it comes before them. */
import process from 'node:process'
import type { Writable } from 'node:stream'
import type { ThreadLink } from './link.js'

type Name = 'stdout' | 'stderr'
type Written = Parameters<NonNullable<Writable['_writev']>>[0][number]

const streams = { stdout: process.stdout, stderr: process.stderr }

/**
 * Replaces how this thread's stdout and stderr write; once a thread. Node's own way holds back all but the first line until
 * the main thread has taken it: a task that never returns to the event loop, and is stopped, would have printed nothing.
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

/** Writes what a task left in a stream that it corked: nothing else would, and the task has printed it. */
export function uncorkOutput(): void {
  const { stdout, stderr } = streams
  while (stdout.writableCorked > 0) stdout.uncork()
  while (stderr.writableCorked > 0) stderr.uncork()
}

function send(link: ThreadLink, stream: Name, chunk: string | Uint8Array, encoding: BufferEncoding): void {
  // A Buffer may be a part of a pool that is cloned as a whole.
  const text = typeof chunk === 'string' ? chunk : new Uint8Array(chunk)
  link.send({ type: 'printed', stream, text, encoding }, chunk.length)
}
