/**
 * Tasks of a held pack. There may be millions, so a task that is handed out is one small object, the call that runs it; its id, payload
 * and {@link PackedTask} are made when they are first asked for.
 */
import { noAttempts } from '../backend/envelope.js'
import type { Failure } from '../backend/messages.js'
import { LeasedTask, leasedBody, type TaskContent } from '../queue/queued-task.js'
import type { BareTask } from '../tasks/task.js'
import type { Call, CallBody } from '../threads/call.js'

/** What a packed call needs to know of its pack. */
export interface PackOfCall {
  readonly message: LeasedTask
  /** Its tasks are made here, not read. */
  readonly isMade: boolean
  /** Length of the longest payload that was read, as JSON. */
  readonly maxTextLength: number
  idOf(index: number): string
  contentOf(index: number, task: BareTask): TaskContent
  /** One of its tasks ran to its end. True if no other one runs. */
  complete(call: PackedCall): boolean
}

/** The call of a task that a pack handed out. */
export class PackedCall implements Call {
  readonly pack: PackOfCall
  /** Its place in the pack. */
  readonly index: number
  /** What the pack has for it: a payload, or a task that a sequence made. */
  readonly given: BareTask
  // Set by `prepare`, before anything runs the call.
  code!: Call['code']
  input!: Call['input']
  kwargs: Call['kwargs'] = undefined
  extra: Call['extra'] = noExtra
  /** Its outcome is asked for. */
  wantsResult = false
  /** It has not ended, and its pack has no other message for it. Changed by its pack only. */
  isOut = true
  /** The worker has it, and it has not ended. Changed by the worker's held tasks only. */
  isHeld = true
  #task: PackedTask | undefined

  constructor(pack: PackOfCall, index: number, given: BareTask) {
    this.pack = pack
    this.index = index
    this.given = given
  }

  /** Sets what it runs. */
  prepare({ code, input, kwargs, extra }: CallBody): void {
    this.code = code
    this.input = input
    this.kwargs = kwargs
    this.extra = extra
  }

  get idSuffix(): string {
    return this.pack.idOf(this.index)
  }

  get attempt(): number {
    return this.pack.message.attempt
  }

  /** Always the same object. */
  get task(): PackedTask {
    this.#task ??= new PackedTask(this)
    return this.#task
  }
}

/** A task of a pack that this process holds. */
export class PackedTask extends LeasedTask {
  readonly #call: PackedCall

  /** Made by {@link PackedCall} only. */
  constructor(call: PackedCall) {
    const { pack, index, given } = call
    const { attempt, deaths } = pack.message
    const id = pack.idOf(index)
    const lease = { id, body: leasedBody(pack.message), attempt, deaths, deathsAlone: 0, handle: undefined }
    const content = pack.contentOf(index, given)
    const history = { earlier: noAttempts, envelopeFailures: noFailures, failures: noFailures }
    super(lease, pack, { id, content, ...history })
    this.#call = call
  }

  get call(): PackedCall {
    return this.#call
  }
}

const noExtra: readonly unknown[] = []

const noFailures: readonly Failure[] = []

/** The task whose lease a task depends on: that of its pack, or its own. */
export function leasedMessage(task: LeasedTask): LeasedTask {
  return task instanceof PackedTask ? task.call.pack.message : task
}

/** The task of a call of a worker. */
export function taskOf(call: Call): LeasedTask {
  // A worker's calls are made from leased tasks.
  return call.task as LeasedTask
}

/** Separates the tasks of packs, as their calls, from those with a lease of their own. */
export function separated(tasks: readonly LeasedTask[]): {
  readonly packed: readonly PackedCall[]
  readonly single: readonly LeasedTask[]
} {
  const packed: PackedCall[] = []
  const single: LeasedTask[] = []
  for (const task of tasks) {
    if (task instanceof PackedTask) packed.push(task.call)
    else single.push(task)
  }
  return { packed, single }
}
