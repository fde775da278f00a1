-- What Envoy's transcoder leaves to do, on the way in and on the way out.
--
-- In: nobody but Envoy tells the server where a request came from, so what a caller wrote under those names goes first;
-- so does what gRPC would take for its own, and a body where the transcoder would take it for the request message.
-- Out: a transcoded answer gets the HTTP status, envelope and headers that the server put into its metadata, and loses
-- what belongs to gRPC. Native gRPC and gRPC-Web answers pass as they are: there, grpc-status is the answer.

local OURS = { ["x-bezant-debug-token"] = true }
local GRPC_HEADERS = {
  "grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding",
  "x-http-status", "x-error-envelope", "x-content-length", "x-no-content-type", "x-envoy-upstream-service-time",
}

-- An error that the server could not describe (its metadata was refused, or it died in mid-call): gRPC code to HTTP.
local BARE_ERRORS = {
  ["3"] = { "400", "bad_request" },
  ["4"] = { "504", "upstream_timeout" },
  ["8"] = { "413", "body_too_large" },
  ["14"] = { "503", "server_unavailable" },
}

local GRPC_WEB = {
  ["application/grpc-web"] = true, ["application/grpc-web+proto"] = true,
  ["application/grpc-web-text"] = true, ["application/grpc-web-text+proto"] = true,
}

-- By Envoy's own rule: what it transcodes must not pass for gRPC here, nor the other way round.
local function is_grpc(headers)
  local kind = headers:get("content-type") or ""
  return kind == "application/grpc" or kind:sub(1, 17) == "application/grpc+" or GRPC_WEB[kind] == true
end

local function unwelcome(name, value, grpc)
  if name:sub(1, 8) == "x-envoy-" then return true end
  if name:sub(1, 9) == "x-bezant-" then return not OURS[name] end
  if grpc then return false end
  -- A caller's grpc-timeout would be a deadline. A name in -bin promises base64, HTTP lets more into a name than gRPC
  -- does, and metadata is ASCII: gRPC refuses a call that breaks one of these rules.
  return name:sub(1, 5) == "grpc-" or name:sub(-4) == "-bin" or name:find("[^:0-9a-z_.-]") ~= nil
    or value:find("[^ -~]") ~= nil
end

-- Whether the transcoder would read a body as the request message, whose members win over the path: the order that a
-- DELETE cancels would be the body's choice.
local function takes_no_body(headers)
  local method = headers:get(":method")
  if method == "DELETE" then
    local path = headers:get(":path")
    return path:sub(1, 10) == "/accounts/" or path:sub(1, 8) == "/api/v1/"
  end
  return method == "GET" or method == "HEAD" or method == "OPTIONS"
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local grpc = is_grpc(headers)
  -- Envoy returns this id as it stands here, and the server logs it.
  local id = headers:get("x-request-id")
  if id ~= nil then headers:replace("x-request-id", (id:gsub("[^ -~]", "?"))) end
  local drop = {}
  for name, value in pairs(headers) do
    if unwelcome(name, value, grpc) then drop[#drop + 1] = name end
  end
  for _, name in ipairs(drop) do
    headers:remove(name)
    -- Who protects a request by this header must not believe it protected.
    if name == "idempotency-key" then headers:add("x-bezant-dropped", name) end
  end
  headers:add("x-bezant-peer", handle:streamInfo():downstreamRemoteAddress())
  headers:add("x-bezant-host", headers:get(":authority"))
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("bezant", "rest", not grpc)
  metadata:set("bezant", "head", headers:get(":method") == "HEAD")
  -- Last, because waiting for the body ends the life of `headers`.
  if not grpc and takes_no_body(headers) then
    local body = handle:body()
    if body ~= nil then body:setBytes("") end
  end
end

-- What is to become of a transcoded answer: its status, its body where that changes, whether it loses its type.
local function verdict(headers)
  local code = headers:get("grpc-status")
  local status = headers:get("x-http-status")
  local envelope = headers:get("x-error-envelope")
  if envelope ~= nil then return status, envelope end
  if code ~= nil and code ~= "0" then
    local bare = BARE_ERRORS[code] or { "500", "internal" }
    return bare[1], '{"code": "' .. bare[2] .. '", "message": "the server gave no further details; after an order, look before you send it again"}'
  end
  -- A body on these would stay on the connection and corrupt the next answer.
  if status == "204" or status == "304" then return status, "" end
  return status, nil
end

-- The answer to HEAD: the length that GET would tell, and no byte of the body, which Envoy would send after it.
local function unsend(handle, body, length)
  local unsent = handle:body(true)
  local size = body ~= nil and #body or unsent:length()
  if unsent:length() > 0 then unsent:setBytes("") end
  if length == nil and size > 0 then length = tostring(size) end
  if length ~= nil then handle:headers():replace("content-length", length) end
end

function envoy_on_response(handle)
  local seen = handle:streamInfo():dynamicMetadata():get("bezant")
  if seen == nil or not seen["rest"] then return end

  local headers = handle:headers()
  local status, body = verdict(headers)
  local length = headers:get("x-content-length")
  if status ~= nil then headers:replace(":status", status) end
  if body == nil then
    if length ~= nil then headers:replace("content-length", length) end
    if headers:get("x-no-content-type") ~= nil then headers:remove("content-type") end
  elseif body == "" then
    headers:remove("content-type")
    headers:remove("content-length")
  else
    headers:replace("content-type", "application/json")
  end
  for _, name in ipairs(GRPC_HEADERS) do headers:remove(name) end
  -- Last, because waiting for the body ends the life of `headers`.
  if seen["head"] then
    unsend(handle, body, length)
  elseif body ~= nil then
    handle:body(true):setBytes(body)
  end
end
