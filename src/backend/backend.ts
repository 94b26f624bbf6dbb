/**
 * The interface of a backend. Types only.
 *
 * Terms: a *message* is what a backend stores; a *lease* is the right to run it until a moment in time, held by exactly
 * one holder; *release* gives a lease back, *renew* extends it, *delete* removes the finished message, *tally* counts
 * one completion.
 *
 * ```text
 * insert ──▶ delayed ──▶ ready ──lease──▶ leased ──delete──▶ gone (+1 completed, with tally)
 *               ▲          ▲                │ │
 *               │          └──── expired ───┘ │
 *               └───────── release ───────────┘
 * ```
 *
 * A backend knows nothing of tasks, threads or progress bars: a message's body is opaque text to it. It keeps three
 * promises: a message that `insert` accepted is never lost before `delete`; a lease has one holder at a time; a holder
 * whose lease ended is told so (`LeaseLostError`) and changes nothing.
 */
import type { BatchFailure, Failure, Lease, ListedMessage, Message } from './messages.js'
import type { ResultSink } from './result-sink.js'
import type { Uploads } from './uploads.js'

/** The status of a worker, as it reported it. */
export interface WorkerStatus {
  readonly host: string
  readonly pid: number
  readonly threads: number
  /** Milliseconds since 1970 by the host's clock, as all times here. */
  readonly startedAtMs: number
  /** Time of the last write. A worker writes every five seconds; one that is a minute late counts as dead. */
  readonly writtenAtMs: number
  readonly executed: number
  readonly failed: number
  readonly tasksPerSecond: number
  readonly rssMb: number
  /** The running tasks; of very many the oldest 100. */
  readonly running: readonly {
    readonly id: string
    readonly name: string
    readonly startedAtMs: number
    readonly fraction: number | undefined
    readonly note: string | undefined
  }[]
}

/**
 * Counts of a queue. `NaN` if the backend can't know a number: it never invents one. They count tasks, of which a message has one, or
 * more if it is a pack: see `tasksOfMessage`. A pack counts as it was stored until it is removed.
 */
export interface Counts {
  /** Tasks in the queue in any state. */
  readonly enqueued: number
  /** The messages that hold them. Left out where they are as many, and by backends that can count messages only. */
  readonly messages?: number
  /** Those under a lease. */
  readonly leased: number
  /** Messages that may not be leased yet: inserted with a delay, or waiting after a failure. */
  readonly delayed: number
  /** Inserted since the queue was made or rezeroed. */
  readonly inserted: number
  /** Tallied since the queue was made or rezeroed. */
  readonly completed: number
  /** Messages set aside because their text is not a task. */
  readonly quarantined: number
  /** Files with other names among the messages. Absent if a backend has no such files. */
  readonly foreign?: number
}

/** The abilities of a backend, as data. The core and the conformance suite read them, and never a backend's name. */
export interface Capabilities {
  /** The most messages of one call of `insert`. */
  readonly insertBatch: number
  /**
   * The most calls of `insert` that are worth running at once: more only hold more messages in memory. Default: as many
   * as the option `concurrency` of the queue allows.
   */
  readonly insertsAtOnce?: number
  /** The most leases of one call of `renew`, `release` or `delete`. */
  readonly leaseBatch: number
  /** `counts` are exact at some moment during the call; otherwise they are approximate. */
  readonly exactCounts: boolean
  /** `inserted` and `completed` are known. */
  readonly counters: boolean
  /** `list` exists. */
  readonly listing: boolean
  /** `releaseAll` exists. */
  readonly releaseAll: boolean
  /** Failures are kept with the message (`release` with `failure`, `failures`). */
  readonly history: boolean
  /** A lease brings the failures that `release` recorded with the message. Default false. */
  readonly historyInLeases?: boolean
  /** Inserting an id that is still enqueued is recognised and adds nothing. */
  readonly dedupesInserts: boolean
  /** The longest delay of an insert or a release, in seconds. */
  readonly maxDelaySeconds: number
  /** The longest lease, in seconds. */
  readonly maxLeaseSeconds: number
  /** The most messages that may be leased at once, by all holders together. Default: any number. */
  readonly maxLeased?: number
  /** The shortest step of a lease or delay, in seconds; both are rounded up to it. */
  readonly secondsStep: number
  /**
   * The number of zeros, and the seconds they span, that `counts` must give before the queue counts as empty. Default: one is
   * enough.
   */
  readonly emptyConfirmations?: { readonly samples: number; readonly windowSeconds: number }
  /** A release without `failure` is not counted as an attempt. Default true; false where the backend counts each lease. */
  readonly uncountedReleases?: boolean
  /**
   * `release` takes `alone`. For backends that can't change a message that is held; others have `runsAlone`. Default false.
   */
  readonly releasesAlone?: boolean
  /** `lease` with `waitSeconds` waits in the backend itself, for the price of one request. Default false. */
  readonly longPolling?: boolean
  /**
   * Some characters can't be stored unescaped, so a body should be ASCII: the core writes the rest of its JSON as
   * `\uXXXX`, like Python. Default false.
   */
  readonly asciiBodies?: boolean
  /**
   * The queue can also be opened in another thread, and is the same queue there. Default true; false if it is in the
   * memory of the thread that opened it.
   */
  readonly threads?: boolean
}

/** A queue of one backend, as the core uses it. The required methods come first. */
export interface Backend {
  /** Its abilities. */
  readonly capabilities: Capabilities
  /** The queue as a person calls it in messages: a path, a name with its region. */
  readonly label: string
  /** Distinguishes the queue from every other one, e.g. its URL with the account. Default: `label`. */
  readonly identity?: string
  /**
   * True if `other` is this same queue, opened under another name: a queue can't be moved, copied or inserted into
   * itself, and isn't its own dead-letter queue. Default: both have the same `identity` and the same `label`.
   */
  isSame?(other: Backend): Promise<boolean>
  /** The name that goes into each message's envelope (fq: the absolute path, as Python writes it). */
  readonly queueName: string

  /** URL of the dead-letter queue unless a worker has the option `deadLetter`. Default: there is none. */
  readonly deadLetterUrl?: string
  /**
   * The attempts that the backend's own policy allows before it moves a task away; `undefined` without a policy. Only
   * for log messages: see `deadLetterUrl`.
   */
  ownMaxAttempts?(): Promise<number | undefined>

  /** Stores messages. Resolves with those that could not be stored; rejects only if nothing was. */
  insert(messages: readonly Message[], options: { delaySeconds: number }): Promise<readonly BatchFailure[]>

  /**
   * Leases up to `max` messages for `seconds`. If there is none, waits up to `waitSeconds` for the first one; then
   * resolves with an empty array. `max` may exceed what the backend returns at once. An abort of `signal` ends the wait:
   * the call resolves with the leases it has by then, so that none is lost.
   */
  lease(options: { seconds: number; max: number; waitSeconds: number; signal?: AbortSignal }): Promise<Lease[]>

  /** The lease now ends `seconds` from now. */
  renew(leases: readonly Lease[], seconds: number): Promise<readonly BatchFailure[]>

  /**
   * Releases leases. Without `failure` no attempt was made and none is counted; with it, the attempt counts and is kept
   * if `capabilities.history`. The message may be leased again after `delaySeconds`. With `alone`, if
   * `capabilities.releasesAlone`, its next leases have that mark until one of them fails; never passed together with
   * `failure`.
   */
  release(
    leases: readonly Lease[],
    options: { delaySeconds: number; failure?: Failure; alone?: boolean },
  ): Promise<readonly BatchFailure[]>

  /**
   * Records that the holder starts to run this message and holds nothing else: if the lease expires, it counts in
   * `deathsAlone`. Undone by `release`, by `releaseAll` and by the next lease. Rejects with `LeaseLostError` if the
   * lease has ended.
   */
  runsAlone?(lease: Lease): Promise<void>

  /**
   * Removes finished messages; with `tally`, each one that was removed by this call is counted, as so many completions as `completions`
   * has for it (default: 1 each). What is removed is no failure where only the count failed: that is a warning. With `mayTallyLater`, as
   * workers delete, a backend with `tallyDeleted` may put the counting off for some seconds, to count many at once.
   */
  delete(
    leases: readonly Lease[],
    options: { tally: boolean; mayTallyLater?: boolean; completions?: readonly number[] },
  ): Promise<readonly BatchFailure[]>
  /** Counts now what `delete` has put off. A worker calls it before it ends. */
  tallyDeleted?(): Promise<void>

  /**
   * Replaces the body of a leased message, wholly or not at all: later leases and listings give the new one. For packs, so that a worker
   * that dies repeats little of one. Rejects with `LeaseLostError` where the lease is over. Default: a message can't be changed.
   */
  replace?(lease: Lease, body: string): Promise<void>

  /** Reads all numbers at once; changes nothing. */
  counts(): Promise<Counts>

  /** Removes everything. `native` uses the backend's own purge if there is one. */
  purge(options: { native: boolean }): Promise<void>

  /**
   * Adds to the count of inserted tasks: called once an insert, so that it is exact at the price of one write.
   * Rejects only if nothing was added; the insert then still succeeds, with a warning.
   */
  addInserted?(count: number): Promise<void>
  /** Sets `inserted` and `completed` to 0. */
  rezero?(): Promise<void>
  /** Makes every leased message ready; resolves with how many tasks they have. Delayed ones stay delayed. */
  releaseAll?(): Promise<number>
  /**
   * Lists messages without leasing them, in no particular order, at some bytes of memory each. Quarantined ones are not
   * listed. A message whose id `wanted` refuses need not be listed, which saves reading it. Default: all are wanted.
   */
  list?(options?: { wanted?: (id: string) => boolean }): AsyncIterable<ListedMessage>
  /**
   * Moves messages that are ready into another queue of the same kind, byte for byte and exactly: if any process dies,
   * each is in one of the two. Yields numbers of moved tasks; an abort ends it. `undefined` if it can't do so for
   * this queue; the core then leases here, inserts there and deletes here.
   */
  moveTo?(other: Backend, options: { signal: AbortSignal }): AsyncIterable<number> | undefined
  /**
   * Deletes a leased message, and stores `message` in another queue of the same kind instead, both or neither: a dead letter is then in
   * one place, whenever its worker dies. Resolves with false, and has changed nothing, where it can't do so for this queue: the core then
   * inserts there and deletes here. Rejects with `LeaseLostError` where the lease is over.
   */
  moveLeased?(lease: Lease, message: Message, other: Backend): Promise<boolean>
  /**
   * Sets a leased message aside whose text is not a task, so that it is not leased again soon: moves it away for good,
   * or postpones it if it may still become a task (a file that is being written) or the backend has a policy of its own.
   */
  quarantine?(lease: Lease, reason: string): Promise<void>
  /** The recorded failures of a message, oldest first. */
  failures?(message: { readonly id: string }): Promise<readonly Failure[]>

  /** Journals of long inserts. Without it, the core keeps them in a file of the machine that inserts. */
  readonly uploads?: Uploads

  /** Keeps the outcomes of tasks. Default: there is no place, and `TaskQueue.map` wants another queue named for them. */
  readonly results?: ResultSink

  /** Stores the status of a worker, for others to read; `undefined` when it ends. */
  reportWorker?(worker: string, status: WorkerStatus | undefined): Promise<void>
  /** The last status of each worker of this queue. */
  workers?(): Promise<readonly WorkerStatus[]>

  /** A folder that all machines of the queue see, where workers keep what their commands write. Default: there is none. */
  readonly logFolder?: string

  /** True where the queue exists, for backends where opening one does not create it. Default: true. */
  exists?(): Promise<boolean>

  /** Frees sockets and timers of the backend. Leases are released by the core. */
  close(): Promise<void>
}

/** Opens the queues of a protocol. `url` is the part after the protocol, see `QueueUrl`. */
export interface BackendOpener {
  /** Opens a queue; may be called again where it failed. */
  open(url: QueueUrl, options: BackendOptions): Promise<Backend>
}

/** A parsed queue URL. */
export interface QueueUrl {
  /** `fq`, `sqs`, `mem`, or a registered one. */
  readonly protocol: string
  /** fq: the absolute path. sqs: a name or an https URL. mem: the name. postgres, redis: the rest without the password. */
  readonly path: string
  /** The password as written in a URL of a server (postgres, redis), separate from `path`, which is printed. */
  readonly password?: string
}

/** Options of every backend; each has further ones of its own. */
export interface BackendOptions {
  /** Maximum number of requests or filesystem operations in flight. Default 40. */
  readonly concurrency?: number
  readonly [option: string]: unknown
}
