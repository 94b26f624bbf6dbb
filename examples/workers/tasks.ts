// The tasks of the workers: one file each.
import { appendFileSync, mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { queueable } from 'ptq'
import { checksumLine } from '../quickstart/checksum-line.js'
import { sha256 } from '../quickstart/tasks.js'

/**
 * Adds a file's line to the list of this process. A task may run twice, if its worker dies between this and the removal
 * of the task: then the line is there twice, and the program that joins the lists drops one.
 */
export const addLine = queueable(function addLine(path: string, root: string, lists: string): void {
  mkdirSync(lists, { recursive: true })
  appendFileSync(join(lists, `${hostname()}-${process.pid}.sha256`), checksumLine(sha256(path), path, root))
})
