/** Tasks from a queue: leased or listed. */
import { randomUUID } from 'node:crypto'
import { openMessage } from '../backend/envelope.js'
import type { Failure, Lease, ListedMessage, MessageState } from '../backend/messages.js'
import { isClassPayload, isFunctionPayload, type Payload, payloadName } from '../tasks/payload.js'
import type { FunctionTask, RegisteredTask, Task } from '../tasks/task.js'
import { taskFromPayload } from '../tasks/task-payload.js'

/** The part of a task's `failures` that is in its envelope: those before a `retry`, or of a dead letter. */
export let envelopeFailures: (task: QueuedTask) => readonly Failure[]

/** A task that is in a queue. To insert it into a queue copies it, under a new id, also where its code is unknown here. */
export class QueuedTask implements Task {
  /** The message's id. */
  readonly id: string
  /** The payload as JSON, as it is stored. */
  readonly payloadText: string
  /**
   * The history, oldest first: of a dead letter, of a task that was found by its id, and of one that was put back by
   * `retry`, which counts attempts from 1 again. Otherwise empty.
   */
  readonly failures: readonly Failure[]
  readonly #envelopeFailures: readonly Failure[]
  readonly #payload: Payload
  #task: FunctionTask | RegisteredTask | undefined

  static {
    envelopeFailures = task => task.#envelopeFailures
  }

  /**
   * @param message the message's id and envelope
   * @param recorded the failures that its queue recorded since the envelope was written
   * @throws Error where the envelope holds no task
   */
  constructor(message: { readonly id: string; readonly body: string }, recorded: readonly Failure[] = []) {
    const { payload, payloadText, failures } = openMessage(message.body)
    if (!isFunctionPayload(payload) && !isClassPayload(payload)) {
      throw new Error(
        'Expected the payload of a task, [[module, name], args, kwargs, -1] or { class, … }, got other JSON',
      )
    }
    this.id = message.id
    this.payloadText = payloadText
    this.#envelopeFailures = failures
    this.failures = recorded.length === 0 ? failures : [...failures, ...recorded]
    this.#payload = payload
  }

  /** The name of the task: `module.function`, or its class. */
  get name(): string {
    return payloadName(this.#payload)
  }

  /** The payload: integers beyond 2^53 are bigints. */
  payload(): Payload {
    return this.#payload
  }

  /**
   * The task, rebuilt with the code that is registered here.
   *
   * @throws UnregisteredTaskError where nothing is registered under its name
   */
  get task(): FunctionTask | RegisteredTask {
    this.#task ??= taskFromPayload(this.#payload)
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
    leaseOf = (task, holder) => (task.#holder === holder ? task.#lease : undefined)
    passageOf = task => {
      task.#passage ??= task.#lease.incarnation ?? randomUUID()
      return task.#passage
    }
  }

  /** @throws Error where the envelope holds no task */
  constructor(lease: Lease, holder: object) {
    super(lease, lease.failures)
    this.attempt = lease.attempt
    this.deaths = lease.deaths ?? 0
    this.deathsAlone = lease.deathsAlone
    this.alone = lease.alone ?? false
    this.#lease = lease
    this.#holder = holder
  }
}

/** A task that was listed, not leased. */
export class ListedTask extends QueuedTask {
  /** The state when it was listed. */
  readonly state: MessageState
  /** Seconds until it may be leased, by the queue's clock: until its lease ends, or its delay. `undefined`: it may be now. */
  readonly availableInSeconds: number | undefined

  /** @throws Error where the envelope holds no task */
  constructor(message: ListedMessage, recorded?: readonly Failure[]) {
    super(message, recorded)
    this.state = message.state
    this.availableInSeconds = message.availableInSeconds
  }
}

/** The reason of a task's last failure, as it is grouped and printed. */
export function lastReason({ failures }: Pick<QueuedTask, 'failures'>): string {
  return failures.at(-1)?.reason ?? 'unknown'
}
