/** Tasks of a program without traces. */
import { createRequire } from 'node:module'
import { context, queueable } from 'ptq'

/** The modules of OpenTelemetry that are loaded in this process. */
export function loadedModules(): string[] {
  return Object.keys(createRequire(import.meta.url).cache).filter(path => path.includes('opentelemetry'))
}

/** Returns what the thread has loaded, and its trace context. */
export const look = queueable(function look(_name: string) {
  return [...loadedModules(), context().traceparent].filter(each => each !== undefined)
})
