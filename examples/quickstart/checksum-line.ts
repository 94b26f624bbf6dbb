// The format of sha256sum's lists.
import { isAbsolute, relative } from 'node:path'

/** One line, with the path relative to `root` if it is below it. `sha256sum -c` is to be run in `root`. */
export function checksumLine(hash: string, path: string, root: string): string {
  const below = relative(root, path)
  const name = below.startsWith('..') || isAbsolute(below) ? path : `./${below}`
  // A name with a backslash or a line break is escaped, and marked by a backslash before all.
  const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
  return `${escaped === name ? '' : '\\'}${hash}  ${escaped}\n`
}
