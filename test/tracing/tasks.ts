/** Tasks that make spans. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { trace } from '@opentelemetry/api'
import { context, queueable } from 'ptq'

/** Makes a span with this name, which ends after a turn of the event loop; resolves with the task's trace context. */
export const traced = queueable(async function traced(name: string) {
  await nextTurn()
  await trace.getTracer('test').startActiveSpan(name, async span => {
    await nextTurn()
    span.end()
  })
  return context().traceparent
})

/** Fails at each attempt but the third. */
export const thirdTime = queueable(function thirdTime(_name: string) {
  if (context().attempt < 3) throw new RangeError(`attempt ${context().attempt}`)
})

/** Fails always. */
export const broken = queueable(function broken(_name: string) {
  throw new RangeError('broken')
})
