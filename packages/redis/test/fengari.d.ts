// What the fake Redis uses of a Lua virtual machine that has no types of its own.
declare module "fengari" {
  export interface LuaState {
    readonly brand: "LuaState"
  }
  export const to_luastring: (text: string) => Uint8Array
  export const to_jsstring: (text: Uint8Array) => string
  export const lauxlib: {
    luaL_newstate: () => LuaState
    luaL_loadstring: (L: LuaState, code: Uint8Array) => number
    luaL_ref: (L: LuaState, table: number) => number
  }
  export const lualib: { luaL_openlibs: (L: LuaState) => void }
  export const lua: {
    LUA_REGISTRYINDEX: number
    LUA_TBOOLEAN: number
    LUA_TNUMBER: number
    LUA_TSTRING: number
    LUA_TTABLE: number
    lua_call: (L: LuaState, args: number, results: number) => void
    lua_createtable: (L: LuaState, array: number, hash: number) => void
    lua_getfield: (L: LuaState, index: number, name: Uint8Array) => number
    lua_getglobal: (L: LuaState, name: Uint8Array) => number
    lua_gettop: (L: LuaState) => number
    lua_pcall: (L: LuaState, args: number, results: number, handler: number) => number
    lua_pop: (L: LuaState, count: number) => void
    lua_pushboolean: (L: LuaState, value: boolean) => void
    lua_pushcfunction: (L: LuaState, f: (L: LuaState) => number) => void
    lua_pushnumber: (L: LuaState, value: number) => void
    lua_pushstring: (L: LuaState, value: Uint8Array) => void
    lua_rawgeti: (L: LuaState, index: number, n: number) => number
    lua_rawlen: (L: LuaState, index: number) => number
    lua_rawseti: (L: LuaState, index: number, n: number) => void
    lua_setfield: (L: LuaState, index: number, name: Uint8Array) => void
    lua_setglobal: (L: LuaState, name: Uint8Array) => void
    lua_toboolean: (L: LuaState, index: number) => boolean
    lua_tojsstring: (L: LuaState, index: number) => string
    lua_tonumber: (L: LuaState, index: number) => number
    lua_type: (L: LuaState, index: number) => number
  }
}
