/** The place where a caller called this package: the stack lines that its errors show instead of those inside. */
import { fileURLToPath } from 'node:url'

/** Frames are captured at once and formatted on demand. */
export interface CallSite {
  readonly stack?: string
}

// In a bundle this file has no folder of its own: its frames look like the caller's. As CommonJS there is no URL.
const ownUrl: string | undefined = import.meta.url
const folders = ownUrl?.endsWith('/src/errors/call-site.js') ? foldersAbove(ownUrl) : []

/** The package's folder, as modules and as CommonJS files are named in stacks. */
function foldersAbove(url: string): readonly string[] {
  const folder = new URL('../..', url).href
  return [folder, fileURLToPath(folder)]
}

/** Records the place where `callee` was called. */
export function callSiteOf(callee: (...args: never[]) => unknown): CallSite {
  const site: CallSite = {}
  Error.captureStackTrace(site, callee)
  return site
}

/** The lines of the caller's own code, each beginning with `    at `. */
export function linesOf(site: CallSite | undefined): readonly string[] {
  const lines = String(site?.stack ?? '').split('\n')
  return lines.filter(
    line => /^ +at /.test(line) && !line.includes('node:') && !folders.some(folder => line.includes(folder)),
  )
}
