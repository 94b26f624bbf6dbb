/**
 * Bounds the output that a thread has posted and the main thread has not taken. A task in a synchronous loop would
 * otherwise fill the memory with lines faster than they can be printed.
 */
import { builtins } from '../runtime/builtins.js'

/** The thread waits while this number of bytes is posted and not taken. */
const windowBytes = 1 << 20

/** Memory of a message besides its text; measured: 0.4 to 0.6 kB. */
const messageBytes = 512

/** Time after which a main thread that takes nothing may itself be waiting for this thread. Milliseconds. */
const stallMs = 1_000

/** The main thread updates the counter in steps of this: waking the thread for each message would cost more. */
const stepBytes = windowBytes / 4

/** The memory of a message with a text of this length. */
export function bytesOf(textLength: number): number {
  return messageBytes + 2 * textLength
}

/** The memory that both ends share: the bytes that the main thread has taken, modulo 2^32. */
export function sharedCounter(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
}

/** The thread's end. */
export class SendWindow {
  readonly #taken: Int32Array
  #sent = 0
  #windowBytes = windowBytes

  constructor(taken: Int32Array) {
    this.#taken = taken
  }

  /**
   * Notes bytes that are posted next. Blocks the thread while the window is full; where the main thread takes nothing for a
   * second, the window grows by a megabyte, so that a thread which the main thread waits for continues.
   */
  add(bytes: number): void {
    for (;;) {
      const taken = builtins.load(this.#taken, 0)
      const underWay = (this.#sent - taken) | 0
      if (underWay < windowBytes) this.#windowBytes = windowBytes
      if (underWay < this.#windowBytes) break
      if (builtins.wait(this.#taken, 0, taken, stallMs) === 'timed-out') this.#windowBytes += windowBytes
    }
    this.#sent = (this.#sent + bytes) | 0
  }
}

/** The main thread's end. */
export class ReceivedBytes {
  readonly #taken: Int32Array
  #unsaid = 0

  constructor(taken: Int32Array) {
    this.#taken = taken
  }

  /** Notes bytes that take no memory here any more. */
  take(bytes: number): void {
    this.#unsaid += bytes
    // Less than the window, so no thread waits for it.
    if (this.#unsaid < stepBytes) return
    Atomics.add(this.#taken, 0, this.#unsaid)
    Atomics.notify(this.#taken, 0)
    this.#unsaid = 0
  }
}
