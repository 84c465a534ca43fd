// adb's headers name the type; this phone handles no keys.
#pragma once
typedef struct rsa_st RSA;
