/** Where a caller called this package: the lines that its errors show, instead of those inside. */
import { fileURLToPath } from 'node:url'

/** Frames are taken at once and become text when they are asked for. */
export interface CallSite {
  readonly stack?: string
}

const packageFolder = new URL('..', import.meta.url).href
const packagePath = fileURLToPath(packageFolder)

/** Notes where `callee` was called. */
export function callSiteOf(callee: (...args: never[]) => unknown): CallSite {
  const site: CallSite = {}
  Error.captureStackTrace(site, callee)
  return site
}

/** The lines of the caller's own code, each beginning with `    at `. */
export function linesOf(site: CallSite | undefined): readonly string[] {
  const lines = String(site?.stack ?? '').split('\n')
  return lines.filter(
    line =>
      /^ +at /.test(line) && !line.includes('node:') && !line.includes(packageFolder) && !line.includes(packagePath),
  )
}
