/** Stores the outcomes of tasks that request it. */
import type { ResultSink } from '../backend/result-sink.js'
import type { Payload } from '../tasks/payload.js'
import { failureRecord, successRecord } from './result-record.js'
import { resultRequest } from './result-request.js'
import { ResultWriter } from './result-writer.js'

/** A task that has ended. */
interface EndedTask {
  readonly id: string
  readonly attempt: number
  payload(): Payload
}

export class TaskResults {
  readonly #writer: ResultWriter

  /** True once a task of this worker requested its outcome: threads have to send values. */
  wantsValues = false

  constructor(sink: ResultSink) {
    this.#writer = new ResultWriter(sink)
  }

  /**
   * Makes the record of a success, and returns a function that stores it; `undefined` without a request.
   *
   * @throws TypeError where JSON can't carry the value; RangeError where it is too long
   */
  success(task: EndedTask, value: unknown): (() => Promise<void>) | undefined {
    const request = resultRequest(task.payload())
    if (request === undefined) return undefined
    const record = successRecord(request.index, task.id, task.attempt, value)
    return () => this.#writer.write(request.run, record)
  }

  /** Records the final failure of a task, if its outcome is requested. */
  async failure(task: EndedTask, attempt: number, reason: string): Promise<void> {
    const request = requestOf(task)
    if (request === undefined) return
    await this.#writer.write(request.run, failureRecord(request.index, task.id, attempt, reason))
  }
}

/** A request that can't be read has failed for that, and has no reader. */
function requestOf(task: EndedTask): ReturnType<typeof resultRequest> {
  try {
    return resultRequest(task.payload())
  } catch {
    return undefined
  }
}
