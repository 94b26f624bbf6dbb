/** Tasks from a queue: leased or listed. */
import { randomUUID } from 'node:crypto'
import { type EarlierAttempts, messageTraceparent, openMessage } from '../backend/envelope.js'
import type { Failure, Lease, ListedMessage, MessageState } from '../backend/messages.js'
import { parseJson } from '../json/json.js'
import { isPackPayload, packIsNoTask, type ReadPack, readPack } from '../tasks/pack.js'
import { type ClassPayload, isClassPayload, isFunctionPayload, type Payload, payloadName } from '../tasks/payload.js'
import type { FunctionTask, RegisteredTask, Task } from '../tasks/task.js'
import { taskFromPayload } from '../tasks/task-payload.js'

/** The part of a task's `failures` that is in its envelope: those before a `retry`, or of a dead letter. */
export let envelopeFailures: (task: QueuedTask) => readonly Failure[]

/** The pack that a message holds; `undefined`: it holds one task. */
export let packOf: (task: QueuedTask) => ReadPack | undefined

/** Replaces the payload of a pack of which tasks ended. */
export let setPackPayload: (task: QueuedTask, payloadText: string) => void

/** Attempts under an earlier message. */
export let earlierAttempts: (task: QueuedTask) => EarlierAttempts

/** The `traceparent` of the span that sent a task, or its pack; `undefined` where no trace was made. */
export let traceparentOf: (task: LeasedTask) => string | undefined

/** The content of a task, which may be made when it is first needed. */
export interface TaskContent {
  readonly payload: Payload
  readonly payloadText: string
}

/** The parts of a task. */
export interface OpenedTask {
  readonly id: string
  readonly content: TaskContent
  readonly pack?: ReadPack | undefined
  readonly earlier: EarlierAttempts
  /** The part of the failures that is in the envelope. */
  readonly envelopeFailures: readonly Failure[]
  readonly failures: readonly Failure[]
}

/**
 * Reads a message.
 *
 * @param recorded the failures that its queue recorded since the envelope was written
 * @throws Error where the envelope holds no task
 */
function openedTask(
  message: { readonly id: string; readonly body: string },
  recorded: readonly Failure[] = [],
): OpenedTask {
  const { payload, payloadText, failures, earlier } = openMessage(message.body)
  if (!isFunctionPayload(payload) && !isClassPayload(payload)) {
    throw new Error(
      'Expected the payload of a task, [[module, name], args, kwargs, -1] or { class, … }, got other JSON',
    )
  }
  const pack = isPackPayload(payload) ? readPack(payload, payloadText) : undefined
  return {
    id: message.id,
    content: { payload, payloadText },
    pack,
    earlier,
    envelopeFailures: failures,
    failures: recorded.length === 0 ? failures : [...failures, ...recorded],
  }
}

/** A task that is in a queue. To insert it into a queue copies it, under a new id, also where its code is unknown here. */
export class QueuedTask implements Task {
  /** The message's id. */
  readonly id: string
  /**
   * The history, oldest first: of a dead letter, of a task that was found by its id, and of one that was put back by
   * `retry`, which counts attempts from 1 again. Otherwise empty.
   */
  readonly failures: readonly Failure[]
  #content: TaskContent
  #pack: ReadPack | undefined
  readonly #earlier: EarlierAttempts
  readonly #envelopeFailures: readonly Failure[]
  #task: FunctionTask | RegisteredTask | undefined

  static {
    envelopeFailures = task => task.#envelopeFailures
    earlierAttempts = task => task.#earlier
    packOf = task => task.#pack
    setPackPayload = (task, payloadText) => {
      const payload = parseJson(payloadText) as ClassPayload
      task.#content = { payload, payloadText }
      task.#pack = readPack(payload, payloadText)
    }
  }

  constructor({ id, content, pack, earlier, envelopeFailures, failures }: OpenedTask) {
    this.id = id
    this.failures = failures
    this.#content = content
    this.#pack = pack
    this.#earlier = earlier
    this.#envelopeFailures = envelopeFailures
  }

  /** The payload as JSON, as it is stored. */
  get payloadText(): string {
    return this.#content.payloadText
  }

  /** True for a pack: a message that holds several tasks, which `poll` runs one by one. */
  get isPack(): boolean {
    return this.#pack !== undefined
  }

  /** The number of tasks that are left in a pack; otherwise 1. */
  get count(): number {
    return this.#pack?.count ?? 1
  }

  /** The name of the task: `module.function`, or its class. */
  get name(): string {
    return payloadName(this.#content.payload)
  }

  /** The payload: integers beyond 2^53 are bigints. */
  payload(): Payload {
    return this.#content.payload
  }

  /**
   * The task, rebuilt with the code that is registered here.
   *
   * @throws UnregisteredTaskError where nothing is registered under its name; Error for a pack
   */
  get task(): FunctionTask | RegisteredTask {
    if (this.#pack !== undefined) throw packIsNoTask(this.count)
    this.#task ??= taskFromPayload(this.#content.payload)
    return this.#task
  }

  /**
   * Runs the task in this thread.
   *
   * @returns what the task returns, a promise of it where the task is async
   * @throws UnregisteredTaskError where nothing is registered under its name
   */
  execute(...extraArgs: unknown[]): unknown {
    const { task } = this
    // The arguments of a task are checked by its own code.
    return Reflect.apply(task.execute, task, extraArgs)
  }
}

/**
 * The backend's lease of a task, for the holder that leased it; otherwise `undefined`. It is kept as long as the task:
 * an expired lease may still be ours to delete.
 */
export let leaseOf: (task: LeasedTask, holder: object) => Lease | undefined

/**
 * Identifies the storing of a leased task in another queue, see `Message.passage`: the same value each time for this
 * lease.
 */
export let passageOf: (task: LeasedTask) => string

/** The body of the message that was leased. */
export let leasedBody: (task: LeasedTask) => string

/** A leased task: no other worker gets it until the lease ends. */
export class LeasedTask extends QueuedTask {
  /** Number of attempts, including this one: 1 the first time. */
  readonly attempt: number
  /** Number of earlier attempts whose worker died, or was silent until the lease ended. */
  readonly deaths: number
  /** Number of `deaths` while the task ran alone; `undefined` if the queue doesn't record that. */
  readonly deathsAlone: number | undefined
  /** True if it was released to be run alone: a death now counts as one while it ran alone. */
  readonly alone: boolean
  readonly #lease: Lease
  #passage: string | undefined
  readonly #holder: object

  static {
    leasedBody = task => task.#lease.body
    traceparentOf = task => messageTraceparent(task.#lease.body)
    leaseOf = (task, holder) => (task.#holder === holder ? task.#lease : undefined)
    passageOf = task => {
      task.#passage ??= task.#lease.incarnation ?? randomUUID()
      return task.#passage
    }
  }

  /** @throws Error where the envelope holds no task */
  constructor(lease: Lease, holder: object, opened: OpenedTask = openedTask(lease, lease.failures)) {
    super(opened)
    const { attempts, deaths } = opened.earlier
    const died = lease.deaths ?? 0
    this.attempt = lease.attempt + attempts
    this.deaths = died + deaths
    // Where the queue can't tell, those after the third death: workers run a task alone from then on.
    this.deathsAlone =
      lease.deathsAlone ?? (deaths === 0 ? undefined : Math.max(0, died - Math.max(0, aloneAfter - deaths)))
    this.alone = lease.alone ?? false
    this.#lease = lease
    this.#holder = holder
  }
}

/** Deaths after which a task runs alone. */
export const aloneAfter = 3

/** The place of a task in a pack. */
export interface PlaceInPack {
  /** The id of the pack's message. */
  readonly id: string
  /** From 0, of all tasks with which the pack was inserted. */
  readonly index: number
  /** The number of tasks that are left in the message. */
  readonly count: number
  /** It has ended, or left its pack, by what was last written to the queue. Then its payload may be that of the pack. */
  readonly isDone: boolean
}

/** A task of a listed pack. */
export interface ListedPackedTask {
  readonly id: string
  readonly content: TaskContent
  readonly place: PlaceInPack
}

/** A task that was listed, not leased. */
export class ListedTask extends QueuedTask {
  /** The state when it was listed; of a task in a pack, that of the pack. */
  readonly state: MessageState
  /** Seconds until it may be leased, by the queue's clock: until its lease ends, or its delay. `undefined`: it may be now. */
  readonly availableInSeconds: number | undefined
  /** Its place in a pack; `undefined`: it has a message of its own. */
  readonly inPack: PlaceInPack | undefined

  /**
   * @param packed the task of the pack that the message holds. Default: the task, or the pack, of the message
   * @throws Error where the envelope holds no task
   */
  constructor(message: ListedMessage, recorded?: readonly Failure[], packed?: ListedPackedTask) {
    const opened = openedTask(message, recorded)
    super(packed === undefined ? opened : { ...opened, id: packed.id, content: packed.content, pack: undefined })
    this.state = message.state
    this.availableInSeconds = message.availableInSeconds
    this.inPack = packed?.place
  }
}

/** The reason of a task's last failure, as it is grouped and printed. */
export function lastReason({ failures }: Pick<QueuedTask, 'failures'>): string {
  return failures.at(-1)?.reason ?? 'unknown'
}
