/** The state of a TaskQueue: its backend, opened by the first use, its leases and options. */

import { homedir } from 'node:os'
import type { Backend, QueueUrl } from '../backend/backend.js'
import { formatQueueUrl, parseQueueUrl } from '../backend/queue-url.js'
import { isServerProtocol, parseServerUrl, withPasswordOf } from '../backend/server-url.js'
import { checkBoolean, checkInteger } from '../errors/check-options.js'
import { argumentError, LeaseLostError } from '../errors/errors.js'
import { counted } from '../text/counted.js'
import { endWaitForCaller } from './awaited-functions.js'
import { checkOptionNames } from './backend-options.js'
import { Leasing, throwFailed } from './leasing.js'
import { isBuiltIn, OpenOnce, requireProtocol } from './open-backend.js'
import type { LeasedTask } from './queued-task.js'
import type { TaskQueueOptions } from './task-queue-options.js'

/** Batch size and time limit of the releases at the end: a queue that hangs must not keep the process alive. */
const releaseBatch = 1_000
const answerSeconds = 5

export class QueueConnection {
  /** The queue's URL in its one form. */
  readonly url: string
  /** The parsed URL. */
  readonly queueUrl: QueueUrl
  readonly backend: OpenOnce
  readonly leasing: Leasing
  /** Concurrent requests. */
  readonly concurrency: number
  /** Show progress bars. */
  readonly progress: boolean
  /** As they were given: those of the backend are among them. */
  readonly options: TaskQueueOptions

  /**
   * @throws TypeError where the URL or an option is not of its form
   * @throws UnsupportedProtocolError where nothing opens queues of this protocol
   */
  constructor(url: string, options: TaskQueueOptions) {
    if (options === null || typeof options !== 'object') throw argumentError('options', 'an object', options)
    this.concurrency = options.concurrency === undefined ? 40 : checkInteger('concurrency', options.concurrency, 1)
    this.progress = checkBoolean('progress', options.progress, true)
    const queueUrl = knownUrl(url)
    if (isBuiltIn(queueUrl.protocol)) checkOptionNames(queueUrl.protocol, options)
    this.url = formatQueueUrl(queueUrl)
    this.queueUrl = queueUrl
    this.options = options
    this.leasing = new Leasing(this.concurrency)
    this.backend = new OpenOnce(queueUrl, { ...options, concurrency: this.concurrency })
  }

  /** The URL of a dead-letter queue. @throws TypeError if it is invalid, or this queue's own */
  deadLetterUrl(text: string): QueueUrl {
    const url = knownUrl(text)
    if (formatQueueUrl(url) === this.url)
      throw argumentError('deadLetter', 'another queue than the one itself', this.url)
    return withPasswordOf(url, this.queueUrl)
  }

  /** The URL of another queue, opened with the options of this one. @throws TypeError where it is none */
  otherUrl(text: string): QueueUrl {
    return withPasswordOf(knownUrl(text), this.queueUrl)
  }

  /** Ends pending calls, releases leased tasks, and closes the backend. */
  async close(): Promise<void> {
    endWaitForCaller(this.backend.signal)
    await this.backend.close(backend => this.#releaseAll(backend))
  }

  async #releaseAll(backend: Backend): Promise<void> {
    const { held } = this.leasing
    const kept = new Map<LeasedTask, Error>()
    for (let start = 0; start < held.length; start += releaseBatch) {
      const batch = held.slice(start, start + releaseBatch)
      const failed = await orTimeout(answerSeconds, this.leasing.release(backend, batch, { delaySeconds: 0 }))
      if (failed === undefined) {
        throw new Error(
          `${backend.label} was closed, and did not answer within ${answerSeconds} s: ` +
            counted(held.length - start, 'lease ends by itself', 'leases end by themselves'),
        )
      }
      // An ended lease needs no release.
      for (const [task, error] of failed) if (!(error instanceof LeaseLostError)) kept.set(task, error)
    }
    throwFailed(kept, `${backend.label} was closed`)
  }
}

/** Resolves like `work`, or with `undefined` after `seconds`. */
async function orTimeout<T>(seconds: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, seconds * 1000, undefined)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function knownUrl(text: string): QueueUrl {
  const url = parseQueueUrl(text, { cwd: process.cwd(), home: homedir() })
  requireProtocol(url.protocol)
  if (isServerProtocol(url.protocol) && isBuiltIn(url.protocol)) parseServerUrl(url)
  return url
}
