import { readFileSync } from 'node:fs'
import { queueable } from 'ptq'

export const countWords = queueable(function countWords(path: string): number {
  return readFileSync(path, 'utf8').split(/\s+/).filter(Boolean).length
})
