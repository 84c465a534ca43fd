// Included by adbd everywhere and used only on Android.
#pragma once
