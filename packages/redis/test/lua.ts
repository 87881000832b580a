// Runs the scripts of this package outside of Redis, with its calling convention.

import { createRequire } from "node:module"
import type * as Fengari from "fengari"

const { lauxlib, lua, lualib, to_luastring }: typeof Fengari = createRequire(import.meta.url)("fengari")

/** What Redis gives to Lua and takes from it. */
export type Value = string | number | null | ReadonlyArray<Value>

export interface Interpreter {
  readonly run: (source: string, keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => Value
}

/** `call` answers a command of a script. */
export const makeInterpreter = (call: (command: ReadonlyArray<string>) => Value): Interpreter => {
  const L = lauxlib.luaL_newstate()
  lualib.luaL_openlibs(L)
  // Where Lua 5.1 has it.
  lua.lua_getglobal(L, to_luastring("table"))
  lua.lua_getfield(L, -1, to_luastring("unpack"))
  lua.lua_setglobal(L, to_luastring("unpack"))
  lua.lua_pop(L, 1)
  const compiled = new Map<string, number>()

  const push = (value: Value): void => {
    if (value === null) lua.lua_pushboolean(L, false)
    else if (typeof value === "number") lua.lua_pushnumber(L, value)
    else if (typeof value === "string") lua.lua_pushstring(L, to_luastring(value))
    else {
      lua.lua_createtable(L, value.length, 0)
      for (const [index, item] of value.entries()) {
        push(item)
        lua.lua_rawseti(L, -2, index + 1)
      }
    }
  }

  const read = (index: number): Value => {
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TNUMBER:
        return Math.trunc(lua.lua_tonumber(L, index))
      case lua.LUA_TSTRING:
        return lua.lua_tojsstring(L, index)
      case lua.LUA_TBOOLEAN:
        return lua.lua_toboolean(L, index) ? 1 : null
      case lua.LUA_TTABLE: {
        const items: Array<Value> = []
        const length = lua.lua_rawlen(L, index)
        for (let n = 1; n <= length; n++) {
          lua.lua_rawgeti(L, index, n)
          items.push(read(lua.lua_gettop(L)))
          lua.lua_pop(L, 1)
        }
        return items
      }
      default:
        return null
    }
  }

  lua.lua_createtable(L, 0, 1)
  lua.lua_pushcfunction(L, () => {
    const command: Array<string> = []
    for (let index = 1; index <= lua.lua_gettop(L); index++) command.push(lua.lua_tojsstring(L, index))
    push(call(command))
    return 1
  })
  lua.lua_setfield(L, -2, to_luastring("call"))
  lua.lua_setglobal(L, to_luastring("redis"))

  const compile = (source: string): number => {
    const known = compiled.get(source)
    if (known !== undefined) return known
    if (lauxlib.luaL_loadstring(L, to_luastring(source)) !== 0) throw new Error(lua.lua_tojsstring(L, -1))
    const reference = lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX)
    compiled.set(source, reference)
    return reference
  }

  return {
    run: (source, keys, args) => {
      const reference = compile(source)
      push(keys)
      lua.lua_setglobal(L, to_luastring("KEYS"))
      push(args)
      lua.lua_setglobal(L, to_luastring("ARGV"))
      lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, reference)
      const failed = lua.lua_pcall(L, 0, 1, 0) !== 0
      const answer = read(lua.lua_gettop(L))
      lua.lua_pop(L, 1)
      if (failed) throw new Error(`ERR ${String(answer)}`)
      return answer
    }
  }
}
