// The SQS server of the torture, behind a proxy that injects faults at random. Runs in a process of its own.
import { type Fault, FaultProxy, type SeenRequest } from '../sqs/fault-proxy.js'
import { startServer } from '../sqs/server.js'
import { Leases, type ReceiveReply } from './bad-server-leases.js'
import { note } from './ledger.js'
import { randomFrom } from './random.js'
import { keysIn } from './tasks.js'

/** Options of the server process: one argument, JSON. */
export interface BadServerOptions {
  readonly ledger: string
  readonly seed: number
}

/** Share of all requests; higher for sends, which are few, so that half a minute has some with a lost reply. */
const FAULTY = 0.05
const FAULTY_SENDS = 0.15

/** Now and then all requests are over the rate limit for a while. */
const BURSTS = 0.001
const LONGEST_BURST_MS = 3_000

/** A batch that arrived and whose reply didn't is sent again: both are in the queue. */
const SENDS: readonly string[] = ['SendMessageBatch', 'SendMessage']

const { ledger, seed }: BadServerOptions = JSON.parse(process.argv[2] ?? '')
const random = randomFrom(seed)
const leases = new Leases(key => note(ledger, 'late', [key]))
let isCalm = false
let throttledUntilMs = 0

function status(code: number, name: string): Fault {
  return { kind: 'status', status: code, code: name }
}

/** Each is as likely as it is often in here. */
const MENU: readonly ((request: SeenRequest) => Fault | undefined)[] = [
  ...times(5, () => status(500, 'InternalFailure')),
  ...times(4, () => status(503, 'ServiceUnavailable')),
  ...times(3, () => status(400, 'ThrottlingException')),
  ...times(2, () => status(403, 'RequestThrottled')),
  ...times(4, (): Fault => ({ kind: 'reset' })),
  ...times(3, (): Fault => ({ kind: 'lost-reply' })),
  ...times(2, (): Fault => ({ kind: 'cut-reply' })),
  ...times(4, partial),
  (): Fault => ({ kind: 'hang' }),
]

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value)
}

function partial({ body }: SeenRequest): Fault | undefined {
  const count = body.Entries?.length ?? 0
  if (count === 0) return undefined
  const places = Array.from({ length: count }, (_, place) => place).filter(() => random() < 0.5)
  return { kind: 'partial', places, code: 'InternalError', senderFault: false }
}

/**
 * The number of the process that sent the request, if it is a `ptq` command or a worker: these have their own access
 * key.
 */
function moverOf({ headers }: SeenRequest): number | undefined {
  const [, processNumber] = /Credential=process-(\d+)\//.exec(headers.authorization ?? '') ?? []
  return processNumber === undefined ? undefined : Number(processNumber)
}

function choose(request: SeenRequest): Fault | undefined {
  const fault = chooseFault(request)
  const processNumber = moverOf(request)
  const isStopped = fault !== undefined && ['status', 'reset', 'hang'].includes(fault.kind)
  // Noted before it arrives: its sender may be killed in the meantime.
  if (processNumber !== undefined && SENDS.includes(request.action) && !isStopped) {
    const keys = keysIn(JSON.stringify(request.body))
    if (keys.length > 0) note(ledger, 'sent', keys, processNumber)
  }
  return fault
}

function chooseFault(request: SeenRequest): Fault | undefined {
  // It runs for hours, and nobody reads the requests.
  proxy.requests.length = 0
  if (isCalm) return undefined
  if (random() < BURSTS) throttledUntilMs = performance.now() + random() * LONGEST_BURST_MS
  if (performance.now() < throttledUntilMs) {
    note(ledger, 'fault', ['400-RequestThrottled-to-all'])
    return status(400, 'RequestThrottled')
  }
  if (random() >= (SENDS.includes(request.action) ? FAULTY_SENDS : FAULTY)) return undefined
  const fault = MENU[Math.floor(random() * MENU.length)]?.(request)
  if (fault === undefined) return undefined
  note(ledger, 'fault', [fault.kind === 'status' ? `${fault.status}-${fault.code}` : fault.kind])
  const isUnanswered = fault.kind === 'lost-reply' || fault.kind === 'cut-reply'
  const keys = SENDS.includes(request.action) ? keysIn(JSON.stringify(request.body)) : []
  // Noted before the fault: a retry may be faster than this process.
  if (isUnanswered && keys.length > 0) note(ledger, 'resent', keys)
  return fault
}

const server = await startServer('fauxqs')
const proxy = await FaultProxy.start(server.endpoint, {
  choose,
  replied: (request, text) => {
    const { action, body } = request
    const { Entries = [], VisibilityTimeout } = body
    if (action === 'ReceiveMessage') leases.received(Number(VisibilityTimeout), JSON.parse(text) as ReceiveReply)
    else if (action === 'ChangeMessageVisibilityBatch') leases.changed(Entries)
    else if (action === 'DeleteMessageBatch') {
      const keys = leases.deleted(Entries)
      const processNumber = moverOf(request)
      if (processNumber !== undefined && keys.length > 0) note(ledger, 'removed', keys, processNumber)
    }
  },
})
process.on('disconnect', () => process.exit(2))
process.on('message', () => {
  isCalm = true
})
process.send?.(proxy.endpoint)
